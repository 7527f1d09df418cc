use proptest::prelude::*;

use super::*;

fn decoded(source: &[u8]) -> Result<Vec<u8>, Error> {
    let mut out = Vec::new();
    decode(source, &mut out, usize::MAX).map(|()| out)
}

fn unhex(hex: &str) -> Vec<u8> {
    hex.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

/// The code of each symbol, EOS last, as a string of 0 and 1.
fn codes() -> Vec<String> {
    let mut order: Vec<usize> = (0..LENGTHS.len()).collect();
    order.sort_by_key(|&symbol| (LENGTHS[symbol], symbol));
    let mut codes = vec![String::new(); LENGTHS.len()];
    let (mut code, mut last) = (0u32, 0);
    for symbol in order {
        let len = LENGTHS[symbol];
        code <<= len - last;
        codes[symbol] = format!("{code:0width$b}", width = usize::from(len));
        code += 1;
        last = len;
    }
    codes
}

fn pack(bits: &str) -> Vec<u8> {
    let padded = format!("{bits:1<width$}", width = bits.len().next_multiple_of(8));
    padded
        .as_bytes()
        .chunks(8)
        .map(|byte| u8::from_str_radix(std::str::from_utf8(byte).unwrap(), 2).unwrap())
        .collect()
}

fn encoded(text: &[u8]) -> Vec<u8> {
    let codes = codes();
    pack(
        &text
            .iter()
            .map(|&byte| codes[usize::from(byte)].as_str())
            .collect::<String>(),
    )
}

/// Bit by bit, as RFC 7541 §5.2 tells it.
fn decoded_slowly(source: &[u8], codes: &[String]) -> Result<Vec<u8>, Error> {
    let bits: String = source.iter().map(|byte| format!("{byte:08b}")).collect();
    let mut out = Vec::new();
    let mut rest = &bits[..];
    while let Some(symbol) = codes
        .iter()
        .position(|code| rest.starts_with(code.as_str()))
    {
        out.push(u8::try_from(symbol).map_err(|_| Error::Decompression)?);
        rest = &rest[codes[symbol].len()..];
    }
    if rest.len() <= 7 && !rest.contains('0') {
        Ok(out)
    } else {
        Err(Error::Decompression)
    }
}

/// RFC 7541 appendix C.4 and C.6.
#[test]
fn the_examples_of_rfc_7541_are_read() {
    for (hex, text) in [
        ("f1e3c2e5f23a6ba0ab90f4ff", "www.example.com"),
        ("a8eb10649cbf", "no-cache"),
        ("25a849e95ba97d7f", "custom-key"),
        ("25a849e95bb8e8b4bf", "custom-value"),
        ("6402", "302"),
        ("640eff", "307"),
        ("aec3771a4b", "private"),
        (
            "d07abe941054d444a8200595040b8166e082a62d1bff",
            "Mon, 21 Oct 2013 20:13:21 GMT",
        ),
        (
            "9d29ad171863c78f0b97c8e9ae82ae43d3",
            "https://www.example.com",
        ),
        ("9bd9ab", "gzip"),
        (
            "94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007",
            "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1",
        ),
    ] {
        assert_eq!(decoded(&unhex(hex)), Ok(text.as_bytes().to_vec()));
        assert_eq!(encoded(text.as_bytes()), unhex(hex));
    }
}

/// All bytes in order, as another implementation encodes them.
const EVERY_BYTE: &str = "\
    ffc7fffd8fffffe2fffffe3fffffe4fffffe5fffffe6fffffe7fffffe8ffffeafffffff3fffffa7fffffabffffffdfff\
    ffebfffffecfffffedfffffeefffffefffffff0ffffff1ffffff2fffffffbfffffcffffffd3fffffd7fffffdbfffffdf\
    fffffe3fffffe7fffffebfffffed4fe3f9ffaffcabf1febfafefe7fdfd2cbb00089969b71d79fb9f7fff20ffbff3ff50\
    ddbd7f061c58f265cd9f469d5af66dddbf871e5f9cff7ff7fffc3ff9ffe45fff4719242cb34e6e9d68a6a3d7dac426de\
    fe3cfaf7fffbfe7ffbffdffffffcfffe6ffff4bfff9ffffa3fffd3ffff53fffd5ffffb3fffeb7fffdaffffb7ffff73ff\
    feeffffdeffffebffffbfffffd9ffffdbfffebffffe0ffffeeffffc3ffff8bffff1ffffe4fffee7fffb1ffff97fffd9f\
    fffcdffff9fffffbffffdafffeeffff4ffffb7fffee7fffe8ffffd3fffdeffffd5fffeeffffbdffffe1fffdfffff7fff\
    ff5ffffecffff07fff87fffe0ffff17fffedffff87ffff77fffeffffeaffff8bfffe3ffff93ffff87fffcbffff37ffff\
    1fffff83ffffe1fffebfffe3ffff3fffff2ffffa3ffffd9fffff17ffffc7fffff27ffffdefffffbffffff2fffff8ffff\
    fb7fff97fff8fffffe6fffffc1fffff87ffffe7fffffc5ffffe5fffe4ffff2fffffd1fffff4ffffffefffffe3fffffc9\
    fffff97fffb3ffffcffffb7fffcdffff4ffff9ffffd1ffffcffffeaffffafffffddffffeffffff4fffff5fffffabffff\
    a7ffffd7fffff9bffffecfffffb7fffff3fffffe8fffffd3fffffabfffff5fffffff7ffffecfffffdbfffffbbfffff7f\
    fffff0fffffbbf";

#[test]
fn every_byte_has_its_code() {
    let every_byte: Vec<u8> = (0..=255).collect();
    assert_eq!(decoded(&unhex(EVERY_BYTE)), Ok(every_byte.clone()));
    assert_eq!(encoded(&every_byte), unhex(EVERY_BYTE));
    for byte in every_byte {
        assert_eq!(decoded(&encoded(&[byte])), Ok(vec![byte]));
        assert_eq!(decoded(&encoded(&[byte; 9])), Ok(vec![byte; 9]));
    }
}

#[test]
fn nothing_stands_for_nothing() {
    assert_eq!(decoded(&[]), Ok(vec![]));
}

#[test]
fn one_and_two_bytes_are_all_read_as_bit_by_bit() {
    let codes = codes();
    for first in 0..=255u8 {
        assert_eq!(decoded(&[first]), decoded_slowly(&[first], &codes));
    }
    for both in (0..=u16::MAX).step_by(7) {
        let source = both.to_be_bytes();
        assert_eq!(
            decoded(&source),
            decoded_slowly(&source, &codes),
            "{source:02x?}"
        );
    }
}

// RFC 7541 §5.2: "A padding strictly longer than 7 bits MUST be treated as a decoding error. A
// padding not corresponding to the most significant bits of the code for the EOS symbol MUST be
// treated as a decoding error."
#[test]
fn e46_a_padding_is_at_most_seven_ones() {
    // 00011 is 'a', 11111000 is '&'.
    for padding in ["000", "001", "010", "011", "100", "101", "110"] {
        assert_eq!(
            decoded(&pack(&format!("00011{padding}"))),
            Err(Error::Decompression)
        );
    }
    assert_eq!(decoded(&pack("00011111")), Ok(b"a".to_vec()));
    assert_eq!(
        decoded(&pack("0001111111111111")),
        Err(Error::Decompression)
    );
    assert_eq!(decoded(&pack("11111000")), Ok(b"&".to_vec()));
    assert_eq!(
        decoded(&pack("1111100011111111")),
        Err(Error::Decompression)
    );
    for len in 1..=8 {
        assert_eq!(decoded(&vec![0xff; len]), Err(Error::Decompression));
    }
}

#[test]
fn e46_a_code_that_is_cut_off_is_an_error() {
    for (symbol, code) in codes().iter().enumerate().take(256) {
        for len in (8..code.len()).step_by(8) {
            assert_eq!(
                decoded(&pack(&code[..len])),
                Err(Error::Decompression),
                "{symbol} after {len} bits"
            );
        }
    }
}

// RFC 7541 §5.2: "A Huffman-encoded string literal containing the EOS symbol MUST be treated as a
// decoding error."
#[test]
fn e46_an_eos_in_the_string_is_an_error() {
    let eos = &codes()[256];
    assert_eq!(eos.len(), 30);
    for bits in [
        eos.clone(),
        format!("00011{eos}"),
        format!("00011{eos}00011"),
        eos.repeat(4),
    ] {
        assert_eq!(decoded(&pack(&bits)), Err(Error::Decompression), "{bits}");
    }
}

#[test]
fn it_appends() {
    let mut out = b"before".to_vec();
    assert_eq!(decode(&unhex("a8eb10649cbf"), &mut out, 100), Ok(()));
    assert_eq!(out, b"beforeno-cache");
}

#[test]
fn what_does_not_fit_is_too_large_and_is_not_held() {
    let source = encoded(b"no-cache");
    for room in 0..8 {
        let mut out = Vec::new();
        assert_eq!(decode(&source, &mut out, room), Err(Error::TooLarge));
        assert_eq!(out.len(), room);
    }
    let mut out = Vec::new();
    assert_eq!(decode(&source, &mut out, 8), Ok(()));
    let mut out = Vec::new();
    assert_eq!(
        decode(&vec![0; 1 << 20], &mut out, 100),
        Err(Error::TooLarge)
    );
    assert!(out.capacity() <= 200, "{}", out.capacity());
}

proptest! {
    #[test]
    fn any_text_comes_back(text in proptest::collection::vec(any::<u8>(), 0..64)) {
        prop_assert_eq!(decoded(&encoded(&text)), Ok(text));
    }

    #[test]
    fn any_bytes_are_read_as_bit_by_bit(
        source in proptest::collection::vec(prop_oneof![3 => any::<u8>(), 1 => Just(0xff)], 0..24),
    ) {
        prop_assert_eq!(decoded(&source), decoded_slowly(&source, &codes()));
    }
}
