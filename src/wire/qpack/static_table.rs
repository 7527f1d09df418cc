//! The static table (RFC 9204 appendix A), by index and by what it holds.

/// A field line: name and value.
pub(super) type Field = (&'static [u8], &'static [u8]);

/// A name of the table, and its first index.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Name {
    pub(super) text: &'static [u8],
    pub(super) first: u8,
}

impl Name {
    /// Looked up when compiling, where it fails for what is not in the table.
    #[expect(clippy::indexing_slicing, reason = "evaluated when compiling only")]
    pub(crate) const fn of(text: &'static [u8]) -> Self {
        let mut first = 0;
        while !equal(TABLE[first as usize].0, text) {
            first += 1;
        }
        Self { text, first }
    }
}

/// A field line of the table, by its index.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line(pub(super) u8);

impl Line {
    /// Looked up when compiling, where it fails for what is not in the table.
    #[expect(clippy::indexing_slicing, reason = "evaluated when compiling only")]
    pub(crate) const fn of(name: &[u8], value: &[u8]) -> Self {
        let mut index = 0;
        while !(equal(TABLE[index as usize].0, name) && equal(TABLE[index as usize].1, value)) {
            index += 1;
        }
        Self(index)
    }
}

/// The field line at `index`, or `None` beyond the table.
pub(super) fn get(index: u64) -> Option<Field> {
    TABLE.get(usize::try_from(index).ok()?).copied()
}

/// The first index of a name.
pub(super) fn find(name: &[u8]) -> Option<u8> {
    let mut here = INDEX.first.get(bucket(name)).copied().unwrap_or(END);
    loop {
        let (candidate, _) = TABLE.get(usize::from(here))?;
        if *candidate == name {
            return Some(here);
        }
        here = after(&INDEX.next_in_bucket, here);
    }
}

/// The index of a whole field line, from the first of its name.
#[inline]
pub(super) fn find_value(first: u8, value: &[u8]) -> Option<u8> {
    let mut here = first;
    loop {
        let (_, candidate) = TABLE.get(usize::from(here))?;
        if *candidate == value {
            return Some(here);
        }
        here = after(&INDEX.next_of_name, here);
    }
}

fn after(chain: &[u8; TABLE_LEN], index: u8) -> u8 {
    chain.get(usize::from(index)).copied().unwrap_or(END)
}

const TABLE_LEN: usize = 99;
const BUCKETS: usize = 128;
/// The end of a chain: an index that the table does not have.
const END: u8 = u8::MAX;
static INDEX: Index = Index::new();

/// By length and last byte, so that no bucket has more than two of the table's names.
const fn bucket(name: &[u8]) -> usize {
    let last = match name.last() {
        Some(&last) => last as usize,
        None => 0,
    };
    name.len().wrapping_mul(12).wrapping_add(last) % BUCKETS
}

/// The way to a name, and from there to its values.
struct Index {
    /// The first entry of some name in this bucket.
    first: [u8; BUCKETS],
    /// From the first entry of a name to that of another name in its bucket.
    next_in_bucket: [u8; TABLE_LEN],
    /// From an entry to the next one of the same name.
    next_of_name: [u8; TABLE_LEN],
}

impl Index {
    #[expect(
        clippy::indexing_slicing,
        clippy::cast_possible_truncation,
        reason = "evaluated when compiling only"
    )]
    const fn new() -> Self {
        let mut index = Self {
            first: [END; BUCKETS],
            next_in_bucket: [END; TABLE_LEN],
            next_of_name: [END; TABLE_LEN],
        };
        let mut here = 0;
        while here < TABLE_LEN {
            let mut before = here;
            while before > 0 && !equal(TABLE[before - 1].0, TABLE[here].0) {
                before -= 1;
            }
            if before > 0 {
                index.next_of_name[before - 1] = here as u8;
            } else {
                let bucket = bucket(TABLE[here].0);
                index.next_in_bucket[here] = index.first[bucket];
                index.first[bucket] = here as u8;
            }
            here += 1;
        }
        index
    }
}

#[expect(clippy::indexing_slicing, reason = "evaluated when compiling only")]
const fn equal(a: &[u8], b: &[u8]) -> bool {
    let mut at = 0;
    while a.len() == b.len() && at < a.len() && a[at] == b[at] {
        at += 1;
    }
    a.len() == b.len() && at == a.len()
}

#[rustfmt::skip]
static TABLE: [Field; TABLE_LEN] = [
    (b":authority", b""),
    (b":path", b"/"),
    (b"age", b"0"),
    (b"content-disposition", b""),
    (b"content-length", b"0"),
    (b"cookie", b""),
    (b"date", b""),
    (b"etag", b""),
    (b"if-modified-since", b""),
    (b"if-none-match", b""),
    (b"last-modified", b""),
    (b"link", b""),
    (b"location", b""),
    (b"referer", b""),
    (b"set-cookie", b""),
    (b":method", b"CONNECT"),
    (b":method", b"DELETE"),
    (b":method", b"GET"),
    (b":method", b"HEAD"),
    (b":method", b"OPTIONS"),
    (b":method", b"POST"),
    (b":method", b"PUT"),
    (b":scheme", b"http"),
    (b":scheme", b"https"),
    (b":status", b"103"),
    (b":status", b"200"),
    (b":status", b"304"),
    (b":status", b"404"),
    (b":status", b"503"),
    (b"accept", b"*/*"),
    (b"accept", b"application/dns-message"),
    (b"accept-encoding", b"gzip, deflate, br"),
    (b"accept-ranges", b"bytes"),
    (b"access-control-allow-headers", b"cache-control"),
    (b"access-control-allow-headers", b"content-type"),
    (b"access-control-allow-origin", b"*"),
    (b"cache-control", b"max-age=0"),
    (b"cache-control", b"max-age=2592000"),
    (b"cache-control", b"max-age=604800"),
    (b"cache-control", b"no-cache"),
    (b"cache-control", b"no-store"),
    (b"cache-control", b"public, max-age=31536000"),
    (b"content-encoding", b"br"),
    (b"content-encoding", b"gzip"),
    (b"content-type", b"application/dns-message"),
    (b"content-type", b"application/javascript"),
    (b"content-type", b"application/json"),
    (b"content-type", b"application/x-www-form-urlencoded"),
    (b"content-type", b"image/gif"),
    (b"content-type", b"image/jpeg"),
    (b"content-type", b"image/png"),
    (b"content-type", b"text/css"),
    (b"content-type", b"text/html; charset=utf-8"),
    (b"content-type", b"text/plain"),
    (b"content-type", b"text/plain;charset=utf-8"),
    (b"range", b"bytes=0-"),
    (b"strict-transport-security", b"max-age=31536000"),
    (b"strict-transport-security", b"max-age=31536000; includesubdomains"),
    (b"strict-transport-security", b"max-age=31536000; includesubdomains; preload"),
    (b"vary", b"accept-encoding"),
    (b"vary", b"origin"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-xss-protection", b"1; mode=block"),
    (b":status", b"100"),
    (b":status", b"204"),
    (b":status", b"206"),
    (b":status", b"302"),
    (b":status", b"400"),
    (b":status", b"403"),
    (b":status", b"421"),
    (b":status", b"425"),
    (b":status", b"500"),
    (b"accept-language", b""),
    (b"access-control-allow-credentials", b"FALSE"),
    (b"access-control-allow-credentials", b"TRUE"),
    (b"access-control-allow-headers", b"*"),
    (b"access-control-allow-methods", b"get"),
    (b"access-control-allow-methods", b"get, post, options"),
    (b"access-control-allow-methods", b"options"),
    (b"access-control-expose-headers", b"content-length"),
    (b"access-control-request-headers", b"content-type"),
    (b"access-control-request-method", b"get"),
    (b"access-control-request-method", b"post"),
    (b"alt-svc", b"clear"),
    (b"authorization", b""),
    (b"content-security-policy", b"script-src 'none'; object-src 'none'; base-uri 'none'"),
    (b"early-data", b"1"),
    (b"expect-ct", b""),
    (b"forwarded", b""),
    (b"if-range", b""),
    (b"origin", b""),
    (b"purpose", b"prefetch"),
    (b"server", b""),
    (b"timing-allow-origin", b"*"),
    (b"upgrade-insecure-requests", b"1"),
    (b"user-agent", b""),
    (b"x-forwarded-for", b""),
    (b"x-frame-options", b"deny"),
    (b"x-frame-options", b"sameorigin"),
];

#[cfg(test)]
mod tests;
