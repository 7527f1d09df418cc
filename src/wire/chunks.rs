//! For tests: the same bytes in different chunks.

use bytes::Bytes;

/// Whole, byte by byte, byte by byte with empty chunks between, and cut once at every place.
pub(super) fn chunkings(wire: &[u8]) -> Vec<Vec<Bytes>> {
    let whole = Bytes::copy_from_slice(wire);
    let bytewise: Vec<Bytes> = (0..wire.len()).map(|at| whole.slice(at..=at)).collect();
    let with_gaps = bytewise
        .iter()
        .flat_map(|byte| [Bytes::new(), byte.clone(), Bytes::new()])
        .collect();
    let mut all = vec![vec![whole.clone()], bytewise, with_gaps];
    all.extend((1..wire.len()).map(|at| vec![whole.slice(..at), whole.slice(at..)]));
    all
}
