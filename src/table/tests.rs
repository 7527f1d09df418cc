use std::collections::BTreeMap;

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
    assert_eq!(table.ids().len(), 999);
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
    assert!(table.places.len() <= 16, "{}", table.places.len());
    assert_eq!(table.ids(), [0]);
}

#[test]
fn what_lies_behind_something_that_is_removed_is_still_found() {
    // Few ids in a small table: they stand in each other's way all the time.
    let (mut table, mut model) = (Table::default(), BTreeMap::new());
    let mut random = 7_u64;
    for round in 0..20_000_u64 {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let id = random >> 33 & 0x3f;
        match random >> 60 {
            0..6 => {
                table.insert(id, round);
                model.insert(id, round);
            }
            6..9 => {
                let is_new = !model.contains_key(&id);
                assert_eq!(table.add(id, round), is_new);
                model.entry(id).or_insert(round);
            }
            _ => assert_eq!(table.remove(id), model.remove(&id)),
        }
        for id in 0..0x40 {
            assert_eq!(table.get(id), model.get(&id), "{id} after {round}");
            assert_eq!(table.get_mut(id).copied(), model.get(&id).copied());
        }
        assert_eq!(table.ids(), model.keys().copied().collect::<Vec<_>>());
    }
    assert!(model.len() > 8, "{}", model.len());
}

#[test]
fn a_search_for_what_is_not_there_ends_in_a_table_of_any_size() {
    let mut table = Table::default();
    for id in 0..200_u64 {
        assert_eq!(table.get(id), None);
        assert_eq!(table.get_mut(id), None);
        assert_eq!(table.remove(id), None);
        assert!(table.add(id, ()));
        let free = table.places.iter().filter(|place| place.is_none()).count();
        assert!(free * 4 >= table.places.len(), "{id}");
    }
}

#[test]
fn ids_that_were_chosen_to_collide_do_not_lie_far_behind() {
    // All of them belong to one place of 1024, by the hash that a table begins with.
    let collide = |id: &u64| id.wrapping_mul(super::SPREAD) >> 54 == 0;
    let ids = (0..1 << 22_u64).map(|n| 4 * n).filter(collide).take(2000);
    let mut table = Table::default();
    for id in ids {
        table.insert(id, ());
        let (home, at) = (table.home(id), table.place(id));
        let behind = table.distance(home, at);
        assert!(behind <= table.far(), "{behind} of {}", table.places.len());
        assert_eq!(table.get(id), Some(&()));
    }
    assert_eq!(table.ids().len(), 2000);
    assert_ne!(table.spread, super::SPREAD);
}

#[test]
fn ids_as_they_come_keep_the_hash() {
    // Streams of one kind in their order; and those that stay, one in four by chance.
    let mut random = 7_u64;
    let mut stays = move |_: &u64| {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        random >> 62 == 0
    };
    let mut table = Table::default();
    for id in (0..40_000_u64).step_by(4).filter(&mut stays) {
        table.insert(id, ());
    }
    let mut all = Table::default();
    for id in (2..40_000_u64).step_by(4) {
        all.insert(id, ());
    }
    assert_eq!((table.spread, all.spread), (super::SPREAD, super::SPREAD));
}
