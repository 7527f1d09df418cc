//! The frames of a request stream, in the order that HTTP/3 wants them (RFC 9114 §4.1, §4.4).
//!
//! Which message the HEADERS hold, and what the DATA means, is not known here.

use bytes::Bytes;

use crate::{
    Http3Error, Side,
    wire::{
        frame,
        tlv::{Collect, Part, Reader},
    },
};

/// What came next on the stream.
#[derive(Debug)]
pub(crate) enum Item {
    /// A whole field section.
    Head(Bytes),
    /// A field section over the limit; it is not kept.
    HeadTooLarge,
    /// DATA payload; never empty.
    Body(Bytes),
    /// Something that means nothing: worth counting, no more.
    Idle,
}

#[derive(Debug)]
#[cfg_attr(feature = "testing", derive(Clone, PartialEq, Eq, Hash))]
pub(crate) struct Frames {
    begun: Begun,
    /// HEADERS may come; else DATA.
    wants_head: bool,
}

/// How far the next frame has come: nearly all come whole.
#[derive(Debug)]
#[cfg_attr(feature = "testing", derive(Clone, PartialEq, Eq, Hash))]
enum Begun {
    Nothing,
    Kind(u64),
    More(Box<Frame>),
}

/// The frame that is being read.
#[derive(Debug)]
#[cfg_attr(feature = "testing", derive(Clone, PartialEq, Eq, Hash))]
struct Frame {
    reader: Reader,
    collect: Collect,
    payload: Payload,
}

/// What the payload that is being read belongs to.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "testing", derive(PartialEq, Eq, Hash))]
enum Payload {
    Head,
    Body,
    Skipped,
}

impl Frames {
    pub(crate) fn new() -> Self {
        Self::with(Begun::Nothing)
    }

    /// The stream's first varint was read already: it is the first frame's type.
    pub(crate) fn after_kind(kind: u64) -> Self {
        Self::with(Begun::Kind(kind))
    }

    /// Somebody else has read the HEADERS, and they were final.
    #[cfg(feature = "h3")]
    pub(crate) fn after_head() -> Self {
        Self {
            wants_head: false,
            ..Self::new()
        }
    }

    fn with(begun: Begun) -> Self {
        Self {
            begun,
            wants_head: true,
        }
    }

    /// The last HEADERS were an interim response: others follow.
    pub(crate) fn expect_head(&mut self) {
        self.wants_head = true;
    }

    /// Whether a FIN may come here.
    pub(crate) fn is_between(&self) -> bool {
        matches!(self.begun, Begun::Nothing)
    }

    /// The next item, `None` when more bytes are wanted.
    pub(crate) fn next(
        &mut self,
        input: &mut Bytes,
        side: Side,
        limit: usize,
    ) -> Option<Result<Item, Http3Error>> {
        let mut frame = match std::mem::replace(&mut self.begun, Begun::Nothing) {
            Begun::Nothing => Frame::new(Reader::new()),
            Begun::Kind(kind) => Frame::new(Reader::after_kind(kind)),
            Begun::More(mut frame) => {
                let next = self.read(&mut frame, input, side, limit);
                if !frame.reader.is_between() {
                    self.begun = Begun::More(frame);
                }
                return next;
            }
        };
        let next = self.read(&mut frame, input, side, limit);
        if !frame.reader.is_between() {
            self.begun = Begun::More(Box::new(frame));
        }
        next
    }

    fn read(
        &mut self,
        frame: &mut Frame,
        input: &mut Bytes,
        side: Side,
        limit: usize,
    ) -> Option<Result<Item, Http3Error>> {
        loop {
            match frame.reader.next(input)? {
                Part::Header { kind, len } => match self.classify(kind, side) {
                    Err(error) => return Some(Err(error)),
                    Ok(payload) => {
                        frame.payload = payload;
                        let fits = usize::try_from(len).is_ok_and(|len| len <= limit);
                        if matches!(payload, Payload::Head) && !fits {
                            frame.payload = Payload::Skipped;
                            return Some(Ok(Item::HeadTooLarge));
                        }
                    }
                },
                Part::Payload { data, end } => match frame.payload {
                    Payload::Head => {
                        if let Some(section) = frame.collect.push(data, end) {
                            return Some(Ok(Item::Head(section)));
                        }
                    }
                    Payload::Body if !data.is_empty() => return Some(Ok(Item::Body(data))),
                    Payload::Body | Payload::Skipped => {
                        if end {
                            return Some(Ok(Item::Idle));
                        }
                    }
                },
            }
        }
    }

    fn classify(&mut self, kind: u64, side: Side) -> Result<Payload, Http3Error> {
        match kind {
            frame::HEADERS if self.wants_head => {
                self.wants_head = false;
                Ok(Payload::Head)
            }
            frame::DATA if !self.wants_head => Ok(Payload::Body),
            // RFC 9114 §4.1: "Receipt of an invalid sequence of frames MUST be treated as a
            // connection error of type H3_FRAME_UNEXPECTED."
            frame::HEADERS | frame::DATA => Err(Http3Error::FrameUnexpected),
            frame::PUSH_PROMISE => Err(match side {
                Side::Client => Http3Error::Id,
                Side::Server => Http3Error::FrameUnexpected,
            }),
            // §4.3: "Endpoints MUST NOT send WT_STREAM as a frame type on HTTP/3 streams other than
            // the very first bytes of a request stream."
            frame::WT_STREAM => Err(Http3Error::Frame),
            frame::CANCEL_PUSH
            | frame::SETTINGS
            | frame::GOAWAY
            | frame::MAX_PUSH_ID
            | frame::PRIORITY_UPDATE_REQUEST
            | frame::PRIORITY_UPDATE_PUSH => Err(Http3Error::FrameUnexpected),
            _ if frame::is_reserved_http2(kind) => Err(Http3Error::FrameUnexpected),
            _ => Ok(Payload::Skipped),
        }
    }
}

impl Frame {
    fn new(reader: Reader) -> Self {
        Self {
            reader,
            collect: Collect::default(),
            payload: Payload::Skipped,
        }
    }
}
