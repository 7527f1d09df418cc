use super::*;

fn request(uri: &str) -> Request {
    Request::new(uri.parse().unwrap())
}

fn protocols(names: &[&str]) -> Vec<Protocol> {
    names
        .iter()
        .map(|&name| Protocol::try_from(name).unwrap())
        .collect()
}

fn with_header(name: &'static str, value: &'static str) -> Request {
    let mut request = request("https://example.com/");
    request
        .headers
        .insert(name, HeaderValue::from_static(value));
    request
}

#[test]
fn a_request_needs_https_and_an_authority() {
    for uri in [
        "https://example.com",
        "HTTPS://example.com/",
        "https://[::1]:4433/a?b=c",
    ] {
        assert_eq!(request(uri).validate(), Ok(()), "{uri}");
    }
    for uri in [
        "http://example.com/",
        "wss://example.com/",
        "/path",
        "example.com:443",
        "*",
    ] {
        assert_eq!(request(uri).validate(), Err(InvalidRequest), "{uri}");
    }
}

#[test]
fn an_authority_is_a_host_and_perhaps_a_port() {
    let valid = |authority: &str| {
        let uri = format!("https://{authority}/").parse();
        uri.is_ok_and(|uri| Request::new(uri).validate().is_ok())
    };
    for authority in [
        "a",
        "a:",
        "a:0",
        "a:65535",
        "a.example:443",
        "[::1]",
        "[::1]:443",
        "[::1]:",
    ] {
        assert!(valid(authority), "{authority}");
    }
    for authority in [
        "",
        "me@a",
        "me:word@a",
        "a@a",
        "a:1@a:1",
        ":443",
        "a:b",
        "a:+1",
        "a:65536",
        "a:1:2",
        "[]",
        "[]:1",
        "[a]",
        "[::1",
        "[::1]a",
        "::1",
    ] {
        assert!(!valid(authority), "{authority}");
    }
}

#[test]
fn a_target_is_ascii() {
    let request = |uri: &str| uri.parse().map(Request::new);
    for uri in [
        "https://a/\u{e9}",
        "https://a/?\u{85}",
        "https://a/\u{202e}",
    ] {
        // `http` takes some of them.
        let is_valid = request(uri).is_ok_and(|request| request.validate().is_ok());
        assert!(!is_valid, "{uri}");
    }
    assert!(request("https://a/%C3%A9?a|b={c}").is_ok_and(|request| request.validate().is_ok()));
}

#[test]
fn a_path_is_never_empty_and_has_no_query() {
    for (uri, path) in [
        ("https://a", "/"),
        ("https://a?b", "/"),
        ("https://a/", "/"),
        ("https://a/b/c?d=e#f", "/b/c"),
    ] {
        assert_eq!(request(uri).path(), path, "{uri}");
    }
}

#[test]
fn a_target_is_path_and_query_behind_a_slash() {
    for (uri, target) in [
        ("https://a", "/"),
        ("https://a?b", "/?b"),
        ("https://a/b?c=d#e", "/b?c=d"),
    ] {
        assert_eq!(request(uri).target(), target, "{uri}");
    }
}

#[test]
fn a_request_is_not_for_the_server_as_a_whole() {
    let uri = Uri::builder()
        .scheme("https")
        .authority("a")
        .path_and_query("*");
    let request = Request::new(uri.build().unwrap());
    assert_eq!(request.validate(), Err(InvalidRequest));
}

#[test]
fn a_request_may_not_set_what_connect_sets_itself() {
    for name in [
        "connection",
        "content-length",
        "content-type",
        "host",
        "keep-alive",
        "origin",
        "proxy-connection",
        "sec-webtransport-http3-draft",
        "sec-webtransport-http3-draft02",
        "te",
        "transfer-encoding",
        "upgrade",
        "wt-available-protocols",
        "wt-protocol",
    ] {
        assert_eq!(
            with_header(name, "1").validate(),
            Err(InvalidRequest),
            "{name}"
        );
    }
    for name in [
        "authorization",
        "capsule-protocol",
        "cookie",
        "user-agent",
        "x-a",
    ] {
        assert_eq!(with_header(name, "1").validate(), Ok(()), "{name}");
    }
}

#[test]
fn a_request_is_built_step_by_step() {
    let built = request("https://a/")
        .protocols(protocols(&["x"]))
        .protocols(protocols(&["b", "a"]))
        .require_protocol()
        .origin(HeaderValue::from_static("https://page"));
    assert_eq!(built.protocols, protocols(&["b", "a"]));
    assert!(built.protocol_required);
    assert_eq!(built.origin.unwrap(), "https://page");
    assert_eq!(built.dialect, None);
    assert!(built.headers.is_empty());
}

#[test]
fn a_request_becomes_one_of_http_and_comes_back() {
    let mut request = request("https://a/b?c")
        .protocols(protocols(&["b", "a"]))
        .origin(HeaderValue::from_static("https://page"));
    request.headers.append("x-a", HeaderValue::from_static("1"));
    request.headers.append("x-a", HeaderValue::from_static("2"));

    let http = http::Request::from(request.clone());
    assert_eq!(
        (http.method(), http.version()),
        (&Method::CONNECT, Version::HTTP_3)
    );
    assert_eq!(http.headers()["origin"], "https://page");
    assert_eq!(http.headers()["wt-available-protocols"], r#""b", "a""#);
    assert_eq!(Request::try_from(http), Ok(request));
}

#[test]
fn a_request_of_http_that_cannot_be_sent_is_refused() {
    let build = |uri: &str, fields: &[(&str, &str)]| {
        let mut builder = http::Request::get(uri);
        for (name, value) in fields {
            builder = builder.header(*name, *value);
        }
        Request::try_from(builder.body(()).unwrap())
    };
    assert!(build("https://a/", &[]).is_ok());
    assert_eq!(build("http://a/", &[]), Err(InvalidRequest));
    assert_eq!(build("https://a/", &[("host", "a")]), Err(InvalidRequest));
    assert_eq!(
        build("https://a/", &[("origin", "x"), ("origin", "y")]),
        Err(InvalidRequest)
    );
    assert_eq!(
        build("https://a/", &[("wt-available-protocols", "token")]),
        Err(InvalidRequest)
    );
    let lines = [
        ("wt-available-protocols", "\"a\""),
        ("wt-available-protocols", "\"b\""),
    ];
    assert_eq!(
        build("https://a/", &lines).unwrap().protocols,
        protocols(&["a", "b"])
    );
}

#[test]
fn answers_start_without_fields() {
    let response = Response::default().protocol(protocols(&["a"]).remove(0));
    assert_eq!(response.protocol.unwrap().as_str(), "a");
    assert!(response.headers.is_empty());

    let rejection = Rejection::from(StatusCode::FORBIDDEN);
    assert_eq!(rejection.status, StatusCode::FORBIDDEN);
    assert!(rejection.headers.is_empty());
}

#[test]
fn an_origin_is_compared_as_it_is_written() {
    let asked = |origin: &'static str| {
        let request = Request::new(Uri::from_static("https://example.com/"));
        request.origin(HeaderValue::from_static(origin))
    };
    let allowed = ["https://example.com", "https://localhost:8443", "null"];
    for origin in allowed {
        assert!(asked(origin).origin_is_any_of(&allowed), "{origin}");
        assert!(!asked(origin).origin_is_any_of(&[]), "{origin}");
    }
    for origin in [
        "http://example.com",
        "https://example.com:443",
        "https://example.com/",
        "https://EXAMPLE.com",
        "https://example.com.evil.test",
        "https://evil.test, https://example.com",
        "https://evil.test https://example.com",
        "https://sub.example.com",
        "https://localhost",
        "",
    ] {
        assert!(!asked(origin).origin_is_any_of(&allowed), "{origin}");
    }
    let opaque = HeaderValue::from_bytes(b"https://\xff").unwrap();
    let request = Request::new(Uri::from_static("https://example.com/")).origin(opaque);
    assert!(!request.origin_is_any_of(&allowed));
}

#[test]
fn a_request_without_an_origin_has_none_that_is_allowed() {
    let request = Request::new(Uri::from_static("https://example.com/"));
    assert!(!request.origin_is_any_of(&["", "null", "https://example.com"]));
}

#[test]
fn a_rate_limit_says_when_to_come_back() {
    for (wait, seconds) in [
        (Duration::ZERO, "0"),
        (Duration::from_nanos(1), "1"),
        (Duration::from_secs(30), "30"),
        (Duration::from_millis(30_001), "31"),
        (Duration::MAX, "18446744073709551615"),
    ] {
        let rejection = Rejection::too_many_requests(wait);
        assert_eq!(rejection.status, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(rejection.headers.len(), 1);
        assert_eq!(rejection.headers["retry-after"], seconds);
        let read = Duration::from_secs(seconds.parse().unwrap());
        assert_eq!(rejection.retry_after(), Some(read));
    }
}

#[test]
fn a_time_to_come_back_that_is_no_number_of_seconds_is_none() {
    let mut rejection = Rejection::from(StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(rejection.retry_after(), None);
    for value in [
        "",
        "+5",
        "-5",
        "5.0",
        "5 ",
        "Fri, 31 Dec 1999 23:59:59 GMT",
        "18446744073709551616",
    ] {
        let value = HeaderValue::from_static(value);
        rejection.headers.insert(header::RETRY_AFTER, value);
        assert_eq!(rejection.retry_after(), None);
    }
    let seconds = HeaderValue::from_static("120");
    rejection.headers.insert(header::RETRY_AFTER, seconds);
    assert_eq!(rejection.retry_after(), Some(Duration::from_secs(120)));
}
