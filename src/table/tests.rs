use super::Table;

#[test]
fn what_was_put_in_is_found_until_it_is_removed() {
    let mut table = Table::default();
    for id in 0..1000_u64 {
        table.insert(id * 4, id);
    }
    assert!((0..1000).all(|id| table.get(id * 4) == Some(&id)));
    assert_eq!(table.get(2), None);
    assert_eq!(table.remove(8), Some(2));
    assert_eq!(table.remove(8), None);
    assert_eq!(table.values().count(), 999);
}

#[test]
fn ids_come_in_order_whatever_the_hash() {
    let mut table = Table::default();
    for id in (0..100_u64).rev() {
        table.insert(id.wrapping_mul(37) % 101, ());
    }
    let ids = table.ids();
    assert!(ids.is_sorted());
    assert_eq!(ids.len(), 100);
}

#[test]
fn what_many_took_is_given_back_when_they_are_gone() {
    let mut table = Table::default();
    for id in 0..10_000_u64 {
        table.insert(id, ());
    }
    for id in 1..10_000 {
        table.remove(id);
    }
    assert!(table.map.capacity() <= 16, "{}", table.map.capacity());
    assert_eq!(table.ids(), [0]);
}
