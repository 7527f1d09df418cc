//! What sessions cost over quinn on loopback UDP, beside the peers and beside nothing:
//!
//! ```sh
//! cargo run --release --manifest-path benches/loopback/Cargo.toml
//! ```
//!
//! prints all figures as JSON, of which `benches/peers` makes the tables. With the name of a stack, of
//! a work and a count it does that once, and prints what it used: so each is measured, in a process
//! of its own.

mod measure;
mod net;
mod stack;
mod stacks;
mod work;

#[expect(dead_code, reason = "the hosts' suite uses all of it")]
#[path = "../../../examples/hosts/quinn/src/host.rs"]
mod host;
#[path = "../../../examples/hosts/quinn/src/opening.rs"]
mod opening;
#[path = "../../../examples/hosts/quinn/src/signals.rs"]
mod signals;

use std::env;

use stacks::{by_hand, h3, ours, raw, web_transport_quinn, wtransport};
use tokio::task::LocalSet;
use work::{Used, Work};

type Error = Box<dyn std::error::Error>;
type Result<T> = std::result::Result<T, Error>;

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match &arguments[..] {
        [] => println!("{:#}", measure::all()?),
        [by, work, count] => {
            let works = measure::WORKS.iter().find(|row| row.id == work.as_str());
            let work = works.ok_or("no such work")?.work;
            let used = once(by, work, count.parse()?)?;
            println!("{}", used.to_json());
        }
        _ => return Err("wants nothing, or a stack, a work and a count".into()),
    }
    Ok(())
}

/// One runtime, and on its one thread both ends and all that they spawn.
fn once(by: &str, work: Work, count: u64) -> Result<Used> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    LocalSet::new().block_on(&runtime, async {
        match by {
            "raw" => work.run::<raw::Raw>(count).await,
            "ours" => work.run::<ours::Ours>(count).await,
            "wtransport" => work.run::<wtransport::Wtransport>(count).await,
            "web-transport-quinn" => {
                let stack = work.run::<web_transport_quinn::WebTransportQuinn>(count);
                stack.await
            }
            "h3-webtransport" => work.run::<h3::H3>(count).await,
            "ours-by-hand" => work.run::<by_hand::OursByHand>(count).await,
            _ => Err("no such stack".into()),
        }
    })
}
