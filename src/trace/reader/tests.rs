use std::{
    cell::{Cell, RefCell},
    io::Cursor,
    time::Duration,
};

use super::*;
use crate::{
    Config, Dialect, Input, Side, StreamId, Support, Transport,
    session::Terms,
    trace::{Header, SessionHeader, Step, Writer},
};

const HEADER: &str = r#"{"webtransport-session-trace":1,"side":"server","config":{}}"#;
const RECORD: &str = r#"{"at":5,"step":"GoAway"}"#;

fn error(file: &[u8]) -> String {
    match Reader::new(file) {
        Ok(reader) => reader.filter_map(Result::err).next().unwrap().to_string(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn what_was_written_is_read() {
    let mut config = Config::default();
    config.limits.sessions = 1;
    let records = [
        Record::new(Duration::ZERO, Step::GoAway),
        Record::new(Duration::from_nanos(1), Step::Input(Input::Timeout)),
    ];
    let mut writer = Writer::new(Vec::new(), Side::Client, &config).unwrap();
    writer.write(&records[..1]).unwrap();
    writer.write(&[]).unwrap();
    writer.write(&records[1..]).unwrap();
    let file = writer.into_inner();
    assert_eq!(file.split(|&byte| byte == b'\n').count(), 4);
    assert!(file.starts_with(MAGIC));

    let reader = Reader::new(file.as_slice()).unwrap();
    assert_eq!(*reader.header(), Header::new(Side::Client, config));
    let read: Vec<_> = reader.map(Result::unwrap).collect();
    assert_eq!(read, records);
}

#[test]
fn another_file_is_told_apart_at_its_first_line() {
    let expected = "line 1: this is no trace of webtransport-session";
    let long = [b'x'; 1 << 20];
    for file in [
        &b""[..],
        b"\n",
        b"hello\n",
        b"hello",
        b"{}\n",
        b"{\"name\":\"x\"",
        b"[1]\n",
        b"\xff\xfe\0\n",
        RECORD.as_bytes(),
        &long,
    ] {
        assert_eq!(error(file), expected, "{:?}", file.get(..20));
    }
}

#[test]
fn a_later_version_is_named() {
    let file = HEADER.replace(":1,", ":2,") + "\n";
    assert_eq!(
        error(file.as_bytes()),
        "line 1: a trace of version 2, where only 1 is known"
    );
}

#[test]
fn a_header_of_ours_that_is_not_whole_is_said_so() {
    for len in 1..HEADER.len() + 1 {
        assert_eq!(
            error(&HEADER.as_bytes()[..len]),
            "line 1: cut off: the file ends here, inside of a line"
        );
    }
    let bad = HEADER.replace("server", "servant") + "\n";
    assert_eq!(
        error(bad.as_bytes()),
        "line 1: malformed: unknown variant `servant`, expected `client` or `server`, at column 48"
    );
    let long = HEADER.replace("{}", &format!("{{{}}}", " ".repeat(1 << 17))) + "\n";
    assert_eq!(
        error(long.as_bytes()),
        "line 1: longer than any line of a trace"
    );
}

#[test]
fn the_first_error_is_the_last_thing_that_is_read() {
    let file = format!("{HEADER}\n{RECORD}\n{{\"at\":0}}\n{RECORD}\n");
    let mut reader = Reader::new(file.as_bytes()).unwrap();
    assert!(reader.next().unwrap().is_ok());
    let error = reader.next().unwrap().unwrap_err();
    assert_eq!(error.line, 3);
    assert_eq!(
        error.to_string(),
        "line 3: malformed: missing field `step`, at column 8"
    );
    assert!(reader.next().is_none());
}

#[test]
fn a_record_without_its_line_end_was_cut_off() {
    let file = format!("{HEADER}\n{RECORD}\n{RECORD}");
    assert_eq!(
        error(file.as_bytes()),
        "line 3: cut off: the file ends here, inside of a line"
    );
}

#[test]
fn a_line_without_end_is_not_read_for_ever() {
    let file = Cursor::new(format!("{HEADER}\n")).chain(io::repeat(b' '));
    let mut reader = Reader::new(io::BufReader::new(file)).unwrap();
    let error = reader.next().unwrap().unwrap_err();
    assert_eq!(error.to_string(), "line 2: longer than any line of a trace");
}

struct Broken;

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::other("the disk is gone"))
    }
}

impl io::Write for Broken {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::Error::other("the disk is gone"))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_file_that_cannot_be_read_is_said_so_with_the_line() {
    let file = Cursor::new(format!("{HEADER}\n{RECORD}\n")).chain(Broken);
    let mut reader = Reader::new(io::BufReader::new(file)).unwrap();
    assert!(reader.next().unwrap().is_ok());
    let error = reader.next().unwrap().unwrap_err();
    assert_eq!(
        error.to_string(),
        "line 3: cannot be read: the disk is gone"
    );
}

/// What a disk would hold, with as much room as somebody makes.
#[derive(Default)]
struct Disk {
    file: RefCell<Vec<u8>>,
    room: Cell<usize>,
    flushed: Cell<usize>,
}

impl io::Write for &Disk {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let mut file = self.file.borrow_mut();
        let len = data.len().min(self.room.get() - file.len());
        file.extend_from_slice(&data[..len]);
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.flushed.set(self.file.borrow().len());
        Ok(())
    }
}

#[test]
fn after_a_failed_write_there_are_no_more() {
    assert!(Writer::new(Broken, Side::Client, &Config::default()).is_err());
    let record = [Record::new(Duration::ZERO, Step::GoAway)];
    let disk = Disk::default();
    disk.room.set(1 << 20);
    let mut writer = Writer::new(&disk, Side::Client, &Config::default()).unwrap();
    let room = disk.file.borrow().len() + 30;
    disk.room.set(room);
    assert!(writer.write(&record).is_ok());
    assert!(writer.write(&record).is_err());
    // What comes into the room that is made then would stand behind half a line.
    disk.room.set(1 << 20);
    assert!(writer.write(&record).is_err());
    assert!(writer.write(&[]).is_err());
    assert_eq!(disk.file.borrow().len(), room);
    assert_eq!(
        error(&disk.file.borrow()),
        "line 3: cut off: the file ends here, inside of a line"
    );
}

#[test]
fn every_write_is_flushed_as_whole_lines() {
    let disk = Disk::default();
    disk.room.set(1 << 20);
    let mut writer = Writer::new(&disk, Side::Client, &Config::default()).unwrap();
    for lines in 1..10 {
        let file = disk.file.borrow().clone();
        assert_eq!(disk.flushed.get(), file.len());
        assert_eq!(Reader::new(file.as_slice()).unwrap().count(), lines - 1);
        let record = Record::new(Duration::ZERO, Step::GoAway);
        writer.write(&[record]).unwrap();
    }
}

#[test]
fn a_record_that_could_not_be_read_is_not_written() {
    let record = Record::new(
        Duration::ZERO,
        Step::Input(Input::DatagramReceived {
            data: vec![0; LINE_LIMIT / 2].into(),
        }),
    );
    let mut writer = Writer::new(Vec::new(), Side::Client, &Config::default()).unwrap();
    let error = writer.write(&[record]).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    let file = writer.into_inner();
    assert_eq!(Reader::new(file.as_slice()).unwrap().count(), 0);
}

const SESSION: &str = r#"{"webtransport-session-trace":1,"layer":1,"side":"server","id":4,"terms":{"dialect":"Draft16","peer_flow_control":null,"transport":{"datagrams":"Yes","reset_stream_at":"Unknown","peer_reset_stream_at":"Unknown","stream_receive_window":1250000,"early_data_accepted":false}},"config":"#;

fn session_header() -> SessionHeader {
    let id = StreamId::from(4).try_into().unwrap();
    let terms = Terms::new(Dialect::Draft16, Transport::new(Support::Yes));
    SessionHeader::new(Side::Server, id, terms, Config::default())
}

#[test]
fn what_was_written_of_a_session_is_read() {
    let header = session_header();
    let records = [
        Record::new(Duration::ZERO, SessionStep::Open),
        Record::new(Duration::from_nanos(1), SessionStep::Poll { times: 1 }),
    ];
    let mut writer = Writer::of_session(Vec::new(), &header).unwrap();
    writer.write(&records).unwrap();
    let file = writer.into_inner();
    assert!(file.starts_with(SESSION.as_bytes()));
    let reader = Reader::of_session(file.as_slice()).unwrap();
    assert_eq!(*reader.header(), header);
    let read: Vec<_> = reader.map(Result::unwrap).collect();
    assert_eq!(read, records);
}

#[test]
fn a_file_of_the_other_layer_is_refused_and_named() {
    let kinds = "(1: a session, 2: a connection)";
    let file = format!("{SESSION}{{}}}}\n{RECORD}\n");
    assert_eq!(
        error(file.as_bytes()),
        format!("line 1: a trace of layer 1, read as one of layer 2 {kinds}")
    );
    let error = |file: String| Reader::of_session(file.as_bytes()).unwrap_err().to_string();
    assert_eq!(
        error(format!("{HEADER}\n{RECORD}\n")),
        format!("line 1: a trace of layer 2, read as one of layer 1 {kinds}")
    );
    let third = HEADER.replace(",\"side", ",\"layer\":3,\"side") + "\n";
    assert_eq!(
        error(third),
        format!("line 1: a trace of layer 3, read as one of layer 1 {kinds}")
    );
    let named = HEADER.replace(",\"side", ",\"layer\":\"top\",\"side") + "\n";
    assert!(error(named).starts_with("line 1: malformed: invalid type: string \"top\""));
    let no_id = file.replace(",\"id\":4", "");
    assert!(error(no_id).starts_with("line 1: malformed: missing field `id`"));
}
