//! What is drawn besides numbers.

use fastrand::Rng;

pub trait Draw {
    fn among<T: Copy>(&mut self, choices: &[T]) -> T;

    /// An index, as often as its weight says; 0 where nothing weighs anything.
    fn weighted(&mut self, weights: &[u64]) -> usize;
}

impl Draw for Rng {
    fn among<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.usize(..choices.len())]
    }

    fn weighted(&mut self, weights: &[u64]) -> usize {
        let mut left = self.u64(..weights.iter().sum::<u64>().max(1));
        for (index, &weight) in weights.iter().enumerate() {
            if left < weight {
                return index;
            }
            left -= weight;
        }
        0
    }
}
