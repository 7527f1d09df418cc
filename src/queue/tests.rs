use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;

proptest! {
    /// `Some` is pushed, `None` takes one.
    #[test]
    fn a_queue_gives_what_came_first(steps in prop::collection::vec(any::<Option<u8>>(), 0..200)) {
        let (mut queue, mut model) = (Queue::<u8, 16>::default(), VecDeque::new());
        for step in steps {
            match step {
                Some(value) => {
                    queue.push(value);
                    model.push_back(value);
                }
                None => prop_assert_eq!(queue.pop(), model.pop_front()),
            }
            prop_assert_eq!(queue.front(), model.front());
            prop_assert_eq!(queue.is_empty(), model.is_empty());
        }
    }
}

#[test]
fn room_that_a_flood_made_is_given_back() {
    let mut queue = Queue::<u8, 16>::default();
    for value in 0..100 {
        queue.push(value);
    }
    while queue.pop().is_some() {}
    assert_eq!(queue.others.capacity(), 0);

    for value in 0..3 {
        queue.push(value);
    }
    while queue.pop().is_some() {}
    assert!(queue.others.capacity() > 0, "a little room stays");
}

#[test]
fn what_is_cleared_is_gone() {
    let mut queue = Queue::<u8, 16>::default();
    queue.push(1);
    queue.push(2);
    queue.clear();
    assert_eq!((queue.is_empty(), queue.pop()), (true, None));
}
