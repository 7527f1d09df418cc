//! A web server of the smallest kind, for the pages that are the browsers' part.

use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    thread,
    time::Duration,
};

/// Serves on a free port of 127.0.0.1 as long as the process lives.
pub(crate) fn serve() -> io::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    thread::Builder::new().name("web".into()).spawn(move || {
        for stream in listener.incoming().flatten() {
            // Browsers open connections ahead of need: one that waits must not hold up others.
            thread::spawn(move || answer(stream));
        }
    })?;
    Ok(address)
}

fn answer(mut stream: TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut request = Vec::new();
    let mut some = [0; 1024];
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        let len = stream.read(&mut some)?;
        if len == 0 || request.len() > 16 * 1024 {
            return Ok(());
        }
        request.extend_from_slice(some.get(..len).unwrap_or_default());
    }
    let request = String::from_utf8_lossy(&request);
    let path = request.split(' ').nth(1).unwrap_or_default();
    let (status, kind, body) = match path {
        "/" => ("200 OK", "text/html", PAGE),
        "/blank" => ("200 OK", "text/html", "<!doctype html><title>blank</title>"),
        "/page.js" => ("200 OK", "text/javascript", include_str!("page.js")),
        "/worker.js" => ("200 OK", "text/javascript", include_str!("worker.js")),
        _ => ("404 Not Found", "text/plain", ""),
    };
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: {kind}; charset=utf-8\r\nContent-Length: {}\r\n\
         Cache-Control: no-store\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

const PAGE: &str = "<!doctype html><html><head><title>page</title><script src=/page.js></script></head><body></body></html>";
