use super::*;

fn some() -> Vec<(u64, u64)> {
    vec![(0x8, 1), (0x33, 1), (0x2c7c_f000, 1), (0x2b61, 1000)]
}

#[test]
fn pairs_are_read_back_as_they_were() {
    let remembered = RememberedSettings::try_from(some()).unwrap();
    let mut pairs = Vec::from(remembered);
    pairs.sort_unstable();
    let mut expected = some();
    expected.sort_unstable();
    assert_eq!(pairs, expected);
}

#[test]
fn what_is_unknown_is_forgotten_and_what_cannot_be_is_an_error() {
    let unknown = [some(), vec![(0x4d44, 9)]].concat();
    assert_eq!(
        RememberedSettings::try_from(unknown),
        RememberedSettings::try_from(some())
    );
    for wrong in [(0x2, 0), (0x33, 2), (0x2c7c_f000, 2)] {
        let pairs = RememberedSettings::try_from(vec![wrong]);
        assert_eq!(pairs, Err(InvalidSettings), "{wrong:?}");
    }
    let twice = [some(), some()].concat();
    assert_eq!(RememberedSettings::try_from(twice), Err(InvalidSettings));
}

#[cfg(feature = "serde")]
#[test]
fn it_can_be_stored() {
    let remembered = RememberedSettings::try_from(some()).unwrap();
    let stored = serde_json::to_string(&remembered).unwrap();
    assert_eq!(
        serde_json::from_str::<RememberedSettings>(&stored).unwrap(),
        remembered
    );
    assert!(serde_json::from_str::<RememberedSettings>("[[2,0]]").is_err());
}
