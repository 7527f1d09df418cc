//! A recording of each connection, in a file of its own, to be replayed by the `replay` example.
//!
//! A file that cannot be written ends its recording, not the game.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File, OpenOptions},
    io,
    path::{Path, PathBuf},
};

use webtransport_session::{
    Config, Connection, Side,
    host::quinn_proto::{Endpoint, PeerId},
    trace::Writer,
};

use crate::{Failure, clock, complain};

/// Whether what players send is recorded too, or zeros in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Payload {
    Kept,
    LeftOut,
}

pub(crate) struct Traces {
    dir: PathBuf,
    payload: Payload,
    /// Of all connections.
    config: Config,
    files: BTreeMap<PeerId, Writer<File>>,
}

impl Traces {
    /// Makes the directory if need be, and sees whether it can be written.
    pub(crate) fn new(dir: PathBuf, payload: Payload, config: Config) -> Result<Self, Failure> {
        match probe(&dir) {
            Ok(()) => Ok(Self {
                dir,
                payload,
                config,
                files: BTreeMap::new(),
            }),
            Err(error) => Err(Failure::Traces { dir, error }),
        }
    }

    /// Records a connection to which nothing has happened. The file's name is when it began, in
    /// milliseconds since 1970, and its number.
    pub(crate) fn begin(&mut self, id: PeerId, connection: &mut Connection) {
        let start = clock::since_1970().as_millis();
        let file = self.dir.join(format!("{start}-{id}.jsonl"));
        let writer = create(&file)
            .and_then(|file| Writer::new(file, Side::Server, &self.config))
            .map(|writer| writer.with_payload(self.payload == Payload::Kept));
        match writer {
            Ok(writer) => {
                connection.set_recording(true);
                self.files.insert(id, writer);
            }
            Err(error) => complain(&format_args!("no trace of connection {id}: {error}")),
        }
    }

    /// Writes what was recorded since the last time.
    pub(crate) fn write(&mut self, endpoint: &mut Endpoint) {
        self.files.retain(|&id, writer| {
            let records = endpoint.take_trace(id);
            if records.is_empty() {
                return true;
            }
            let Err(error) = writer.write(&records) else {
                return true;
            };
            complain(&format_args!(
                "the trace of connection {id} ends here: {error}"
            ));
            if let Some(peer) = endpoint.peer(id) {
                peer.sessions().set_recording(false);
            }
            false
        });
    }

    /// Closes the files of connections that are forgotten.
    pub(crate) fn close(&mut self, endpoint: &Endpoint) {
        if self.files.is_empty() {
            return;
        }
        let known: BTreeSet<_> = endpoint.peers().collect();
        self.files.retain(|id, _| known.contains(id));
    }
}

fn probe(dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    let file = dir.join(format!("arena-{}.probe", std::process::id()));
    File::create(&file)?;
    fs::remove_file(&file)
}

/// A file that nobody else may read: requests have tokens in them.
fn create(file: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(file)
}
