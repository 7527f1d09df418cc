//! A server on hyperium's h3: pages and sessions on the same connection.
//!
//! `GET` gives a page. A session gets its datagrams and bidirectional streams back, and one message
//! per unidirectional stream on a stream of the server's. `/kick` is closed as soon as it says
//! something, and `/end` ends the whole connection then.

mod echo;
mod identity;
mod page;

use std::{error::Error, future::poll_fn, sync::Arc, time::Instant};

use h3_quinn::quinn;
use webtransport_session::{
    CloseReason, Config, Event, Rejection, Response, SessionId,
    host::h3::{Host, OrdinaryRequest, Output},
};

use echo::Echo;
pub use identity::Identity;

type Sessions = Host<h3_quinn::Connection>;

/// What a session with this path comes to when it has said something.
pub const KICK: &str = "/kick";
/// See [`KICK`]; and with it the connection.
pub const END: &str = "/end";
/// What is said then.
pub const GOODBYE: (u32, &str) = (42, "as you wish");
/// Sessions are refused here.
pub const CLOSED: &str = "/closed";

/// Serves one connection to its end, and reports the end of each session.
pub async fn serve(
    quic: quinn::Connection,
    config: Arc<Config>,
    page: Arc<str>,
    report: impl Fn(SessionId, CloseReason),
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let asked = quic.clone();
    let mut host: Sessions = Host::server(h3_quinn::Connection::new(quic.clone()), config)
        .await?
        .on_loss(move || asked.close_reason().map(Into::into));
    let mut echo = Echo::default();
    loop {
        let due = host.poll_timeout();
        let output = tokio::select! {
            output = poll_fn(|cx| host.poll(cx, Instant::now())) => output,
            // Datagrams are QUIC's: h3 cannot send them.
            Ok(datagram) = quic.read_datagram() => {
                host.handle_datagram(Instant::now(), datagram);
                continue;
            }
            () = sleep_until(due) => continue,
        };
        let event = match output {
            None => return Ok(()),
            Some(Output::Request(request)) => {
                tokio::spawn(answer(request, page.clone()));
                continue;
            }
            Some(Output::Event(event)) => event,
        };
        match &event {
            Event::SessionRequested { session, request } => {
                let now = Instant::now();
                let _left_meanwhile = if request.path() == CLOSED {
                    let refusal = Rejection::from(http::StatusCode::FORBIDDEN);
                    host.reject(now, *session, refusal)
                } else {
                    host.accept(now, *session, Response::default())
                };
                echo.begin(*session, request.path());
            }
            Event::SessionClosed { session, reason } => report(*session, reason.clone()),
            _ => {}
        }
        echo.event(&mut host, &quic, event);
    }
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}

/// A request as h3 has it: nothing of sessions here.
async fn answer(
    request: OrdinaryRequest<h3_quinn::Connection>,
    page: Arc<str>,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let (request, mut stream) = request.resolve().await?;
    let (status, body) = match request.uri().path() {
        "/" => (http::StatusCode::OK, page.to_string()),
        path => (http::StatusCode::NOT_FOUND, format!("there is no {path}\n")),
    };
    let head = http::Response::builder()
        .status(status)
        .header("content-type", "text/html; charset=utf-8");
    stream.send_response(head.body(())?).await?;
    stream.send_data(body.into()).await?;
    stream.finish().await?;
    Ok(())
}

/// The page that is served.
pub fn page(address: std::net::SocketAddr, identity: &Identity) -> Arc<str> {
    page::page(address, &identity.hash()).into()
}
