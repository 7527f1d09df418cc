//! What the application answers to a request.

use std::time::Instant;

use http::StatusCode;

use super::{Host, Stack, connects::Connect};
use crate::{
    AnswerError, Endpoint, Rejection, Response, SessionId,
    connection::handshake::{self, Head},
};

impl<C: Stack> Host<C> {
    /// Accepts a request with 200. [`Event::SessionOpened`](crate::Event::SessionOpened) follows.
    ///
    /// # Errors
    /// [`AnswerError::Gone`] when the client left meanwhile, which is normal;
    /// [`AnswerError::ProtocolNotOffered`] when the response names a protocol, which no dialect that
    /// h3 announces has; [`AnswerError::HeadersTooLarge`]. After both the request still waits for
    /// its answer.
    pub fn accept(
        &mut self,
        now: Instant,
        session: SessionId,
        response: Response,
    ) -> Result<(), AnswerError> {
        self.tick(now);
        let connect = self.unanswered(session)?;
        let is_offered = |chosen| connect.protocols.contains(chosen);
        if !response.protocol.as_ref().is_none_or(is_offered) {
            return Err(AnswerError::ProtocolNotOffered);
        }
        let head = handshake::accept(&response, connect.session.dialect());
        self.may_send(&head)?;
        self.with_session(session, |connect, now| {
            connect.pipe.queue(&head.frame);
            connect.protocols = Vec::new();
            connect.response = Some(Box::new(response));
            connect.session.open(now);
        });
        Ok(())
    }

    /// Answers a request with a final status that is not 2xx.
    /// [`Event::SessionClosed`](crate::Event::SessionClosed) follows. A status below 300 is sent as
    /// 500.
    ///
    /// # Errors
    /// [`AnswerError::Gone`] when the client left meanwhile, which is normal;
    /// [`AnswerError::HeadersTooLarge`]: the request still waits for its answer.
    pub fn reject(
        &mut self,
        now: Instant,
        session: SessionId,
        mut rejection: Rejection,
    ) -> Result<(), AnswerError> {
        self.tick(now);
        self.unanswered(session)?;
        if rejection.status.is_informational() || rejection.status.is_success() {
            rejection.status = StatusCode::INTERNAL_SERVER_ERROR;
        }
        let head = handshake::reject(&rejection);
        self.may_send(&head)?;
        self.with_session(session, |connect, now| {
            connect.pipe.queue(&head.frame);
            connect.session.reject(now, Endpoint::Local, rejection);
        });
        Ok(())
    }

    fn unanswered(&self, session: SessionId) -> Result<&Connect, AnswerError> {
        self.sessions
            .get(&session)
            .filter(|connect| connect.session.is_requested())
            .ok_or(AnswerError::Gone)
    }

    /// RFC 9114 §4.2.2: "An implementation that has received this parameter SHOULD NOT send an HTTP
    /// message header that exceeds the indicated size".
    fn may_send(&self, head: &Head) -> Result<(), AnswerError> {
        let theirs = self.theirs.and_then(|peer| peer.max_field_section_size);
        let is_small = head.size <= theirs.unwrap_or(u64::MAX)
            && head.frame.len() <= self.config.limits.unwritten_bytes;
        is_small.then_some(()).ok_or(AnswerError::HeadersTooLarge)
    }
}
