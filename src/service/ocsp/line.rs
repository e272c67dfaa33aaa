//! What the process that keeps the book and the one that asks responders say to each other: one message each way, on a channel
//! that keeps their boundaries. Questions come from certificates of the operator, answers from strangers.

/// Bytes of a message: an answer of [`crate::net::tls::ocsp::ANSWER_MAX`] and what stands before it.
pub const MESSAGE_MAX: usize = 72 * 1024;

/// What is said of an answer that is something else.
pub const OTHER_TYPE: &str = "the answer is of another type";

/// A responder is to be asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Question {
    /// Comes back with the answer.
    pub ticket: u64,
    /// Whom.
    pub url: String,
    /// By whom, when not directly: `host:port`.
    pub proxy: String,
    /// What, DER.
    pub body: Vec<u8>,
}

/// What came of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reply {
    /// That of the question.
    pub ticket: u64,
    /// The answer, DER, or why there is none.
    pub answer: Result<Vec<u8>, String>,
}

impl Question {
    /// As a message.
    pub fn pack(&self) -> Vec<u8> {
        let mut message = self.ticket.to_le_bytes().to_vec();
        for text in [&self.url, &self.proxy] {
            message.extend((text.len() as u16).to_le_bytes());
            message.extend(text.bytes().take(usize::from(text.len() as u16)));
        }
        message.extend(&self.body);
        message
    }

    /// Of a message.
    pub fn unpack(message: &[u8]) -> Option<Question> {
        let (ticket, mut rest) = message.split_first_chunk()?;
        let mut text = || -> Option<String> {
            let (len, after) = rest.split_first_chunk()?;
            let (text, after) = after.split_at_checked(usize::from(u16::from_le_bytes(*len)))?;
            rest = after;
            String::from_utf8(text.to_vec()).ok()
        };
        let (url, proxy) = (text()?, text()?);
        Some(Question { ticket: u64::from_le_bytes(*ticket), url, proxy, body: rest.to_vec() })
    }
}

impl Reply {
    /// As a message.
    pub fn pack(&self) -> Vec<u8> {
        let mut message = self.ticket.to_le_bytes().to_vec();
        match &self.answer {
            Ok(answer) => {
                message.push(1);
                message.extend(answer);
            }
            Err(why) => {
                message.push(0);
                message.extend(why.bytes().take(1000));
            }
        }
        message
    }

    /// Of a message.
    pub fn unpack(message: &[u8]) -> Option<Reply> {
        let (ticket, rest) = message.split_first_chunk()?;
        let (kind, rest) = rest.split_first()?;
        let answer = match kind {
            1 => Ok(rest.to_vec()),
            _ => Err(String::from_utf8_lossy(rest).into_owned()),
        };
        Some(Reply { ticket: u64::from_le_bytes(*ticket), answer })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_read_as_written() {
        let question = Question {
            ticket: 7,
            url: "http://o.test/".to_owned(),
            proxy: String::new(),
            body: vec![0x30, 0],
        };
        let packed = question.pack();
        assert_eq!(Question::unpack(&packed), Some(question));
        for len in 0..packed.len() - 2 {
            assert_eq!(Question::unpack(&packed[..len]), None, "{len}");
        }
        for answer in [Ok(vec![1; 60_000]), Err("refused".to_owned())] {
            let reply = Reply { ticket: u64::MAX, answer };
            let packed = reply.pack();
            assert!(packed.len() < MESSAGE_MAX);
            assert_eq!(Reply::unpack(&packed), Some(reply));
        }
        assert_eq!(Reply::unpack(b"12345678"), None);
    }
}
