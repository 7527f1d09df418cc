//! A web server of the smallest kind: the page, its scripts, and where the game is.
//!
//! Knows of HTTP/1.1 what a browser on the same machine needs: one request for each connection,
//! answered from memory.

use std::{
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
    sync::Arc,
    thread,
    time::Duration,
};

use crate::{Failure, format::FIELD, net::TICK};

/// A request longer than this is none of a browser's for these pages.
const LONGEST_REQUEST: usize = 16 * 1024;
/// Browsers open connections ahead of need, and then let them wait.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the page has to know about the server.
pub(crate) struct Page {
    pub(crate) url: String,
    /// SHA-256 of the server's certificate.
    pub(crate) certificate_hash: Vec<u8>,
    /// Whether no browser would accept the certificate otherwise.
    pub(crate) is_known_by_hash_alone: bool,
}

impl Page {
    fn to_json(&self) -> String {
        serde_json::json!({
            "url": self.url,
            "hash": self.certificate_hash,
            "hashOnly": self.is_known_by_hash_alone,
            "width": FIELD.x,
            "height": FIELD.y,
            "tick": TICK.as_millis(),
        })
        .to_string()
    }
}

/// Answers on these sockets, in threads of its own, as long as the process lives.
pub(crate) fn serve(listeners: Vec<TcpListener>, page: Page) -> Result<(), Failure> {
    let server_json: Arc<str> = page.to_json().into();
    for listener in listeners {
        let server_json = Arc::clone(&server_json);
        thread::Builder::new()
            .name("page".into())
            .spawn(move || listen(&listener, &server_json))
            .map_err(Failure::Thread)?;
    }
    Ok(())
}

fn listen(listener: &TcpListener, server_json: &Arc<str>) {
    loop {
        let Ok((stream, _)) = listener.accept() else {
            // Out of file descriptors, mostly: others will be closed.
            thread::sleep(Duration::from_millis(50));
            continue;
        };
        let server_json = Arc::clone(server_json);
        // One that waits must not keep the others waiting.
        let _dropped = thread::Builder::new()
            .name("page request".into())
            .spawn(move || answer(stream, &server_json));
    }
}

/// Answers one request. Whoever does not read the answer does not want it.
fn answer(mut stream: TcpStream, server_json: &str) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let Some(request) = read_request(&mut stream)? else {
        return Ok(());
    };
    let (status, kind, body) = respond(&request, server_json);
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}; charset=utf-8\r\nContent-Length: {}\r\n\
         Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    if !request.starts_with("HEAD ") {
        stream.write_all(body.as_bytes())?;
    }
    stream.flush()
}

/// The request's first line. `None` if none comes.
fn read_request(stream: &mut TcpStream) -> io::Result<Option<String>> {
    let mut request = Vec::new();
    let mut some = [0; 1024];
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        let len = stream.read(&mut some)?;
        if len == 0 || request.len() > LONGEST_REQUEST {
            return Ok(None);
        }
        request.extend_from_slice(some.get(..len).unwrap_or_default());
    }
    let request = String::from_utf8_lossy(&request);
    Ok(request.lines().next().map(str::to_owned))
}

/// Status, type and body of the answer.
fn respond<'a>(request: &str, server_json: &'a str) -> (&'static str, &'static str, &'a str) {
    const TEXT: &str = "text/plain";
    let mut words = request.split(' ');
    let (method, target) = (words.next(), words.next());
    if !matches!(method, Some("GET" | "HEAD")) {
        return ("405 Method Not Allowed", TEXT, "only GET and HEAD\n");
    }
    let path = target.and_then(|target| target.split('?').next());
    match path {
        Some("/") => ("200 OK", "text/html", include_str!("page.html")),
        Some("/script.js") => ("200 OK", "text/javascript", include_str!("script.js")),
        Some("/worker.js") => ("200 OK", "text/javascript", include_str!("worker.js")),
        Some("/server.json") => ("200 OK", "application/json", server_json),
        _ => ("404 Not Found", TEXT, "there is only the page at /\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_and_its_parts_are_there_and_nothing_else() {
        fn status(request: &str) -> &'static str {
            respond(request, "{}").0
        }
        for path in ["/", "/?x=1", "/script.js", "/worker.js", "/server.json"] {
            assert_eq!(status(&format!("GET {path} HTTP/1.1")), "200 OK");
        }
        assert_eq!(status("GET /../page.rs HTTP/1.1"), "404 Not Found");
        assert_eq!(status("POST / HTTP/1.1"), "405 Method Not Allowed");
        assert_eq!(status("nonsense"), "405 Method Not Allowed");
    }
}
