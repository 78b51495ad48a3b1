//! A board made of parts, each behind the traits of `embedded-hal` and `embedded-io`: a serial line, a pin, a counter.

use crate::{Board, Count};
use core::convert::Infallible;
use core::fmt;
use embedded_hal::digital::OutputPin;
use embedded_hal_nb::{nb, serial};
use embedded_io::{Error, ErrorType, Read, ReadReady, Write};

/// A board of a serial line's two directions, a measuring pin, and a counter.
#[derive(Debug)]
pub struct SerialBoard<R, W, P, C> {
    /// What is typed.
    pub receiver: R,
    /// Where text goes.
    pub sender: W,
    /// The measuring pin.
    pub pin: P,
    /// Counts what a token takes.
    pub counter: C,
}

impl<R, W: Write, P, C> fmt::Write for SerialBoard<R, W, P, C> {
    /// Terminals go to the start of a line at a carriage return only. Returns when everything is out, so that nothing of it
    /// is left for the time of the next token; what a line does not take is lost.
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for line in text.split_inclusive('\n') {
            let _ = match line.strip_suffix('\n') {
                Some(line) => {
                    self.sender.write_all(line.as_bytes()).and_then(|()| self.sender.write_all(b"\r\n"))
                }
                None => self.sender.write_all(line.as_bytes()),
            };
        }
        let _ = self.sender.flush();
        Ok(())
    }
}

impl<R, W, P, C> Board for SerialBoard<R, W, P, C>
where
    R: Read + ReadReady,
    W: Write,
    P: OutputPin<Error = Infallible>,
    C: Count,
{
    const UNIT: &'static str = C::UNIT;
    const PER_SECOND: u64 = C::PER_SECOND;
    type Pin = P;

    fn count(&mut self) -> u64 {
        self.counter.count()
    }

    /// A byte that came damaged is none.
    fn read(&mut self) -> Option<u8> {
        let mut byte = [0];
        let is_ready = matches!(self.receiver.read_ready(), Ok(true));
        (is_ready && matches!(self.receiver.read(&mut byte), Ok(1))).then_some(byte[0])
    }

    fn pin(&mut self) -> &mut P {
        &mut self.pin
    }
}

/// A receiver that is asked for a byte by `embedded-hal-nb`, for HALs whose `embedded-io` waits for one.
#[derive(Debug)]
pub struct Polled<R> {
    receiver: R,
    received: Option<u8>,
}

impl<R> Polled<R> {
    /// A receiver from which nothing was read.
    pub const fn new(receiver: R) -> Self {
        Self { receiver, received: None }
    }
}

impl<R: serial::Read<Error: Error>> ErrorType for Polled<R> {
    type Error = R::Error;
}

impl<R: serial::Read<Error: Error>> ReadReady for Polled<R> {
    fn read_ready(&mut self) -> Result<bool, Self::Error> {
        if self.received.is_none() {
            self.received = match self.receiver.read() {
                Ok(byte) => Some(byte),
                Err(nb::Error::WouldBlock) => None,
                Err(nb::Error::Other(error)) => return Err(error),
            };
        }
        Ok(self.received.is_some())
    }
}

impl<R: serial::Read<Error: Error>> Read for Polled<R> {
    fn read(&mut self, bytes: &mut [u8]) -> Result<usize, Self::Error> {
        let Some(first) = bytes.first_mut() else {
            return Ok(0);
        };
        loop {
            self.read_ready()?;
            if let Some(byte) = self.received.take() {
                *first = byte;
                return Ok(1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;
    use std::vec::Vec;

    /// What arrives: bytes, or damage.
    struct Line(VecDeque<Result<u8, Damaged>>);

    /// What is sent, and what still waits in a buffer.
    #[derive(Default)]
    struct Buffered {
        buffer: Vec<u8>,
        sent: Vec<u8>,
    }

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct Damaged;

    impl fmt::Display for Damaged {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("damaged")
        }
    }

    impl core::error::Error for Damaged {}

    impl Error for Damaged {
        fn kind(&self) -> embedded_io::ErrorKind {
            embedded_io::ErrorKind::InvalidData
        }
    }

    impl serial::Error for Damaged {
        fn kind(&self) -> serial::ErrorKind {
            serial::ErrorKind::FrameFormat
        }
    }

    impl serial::ErrorType for Line {
        type Error = Damaged;
    }

    impl serial::Read for Line {
        fn read(&mut self) -> nb::Result<u8, Damaged> {
            self.0.pop_front().ok_or(nb::Error::WouldBlock)?.map_err(nb::Error::Other)
        }
    }

    impl ErrorType for Buffered {
        type Error = Infallible;
    }

    impl Write for Buffered {
        /// Takes three bytes at a time.
        fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
            let taken = bytes.len().min(3);
            self.buffer.extend(&bytes[..taken]);
            Ok(taken)
        }

        fn flush(&mut self) -> Result<(), Infallible> {
            self.sent.append(&mut self.buffer);
            Ok(())
        }
    }

    struct NoPin;

    impl embedded_hal::digital::ErrorType for NoPin {
        type Error = Infallible;
    }

    impl OutputPin for NoPin {
        fn set_low(&mut self) -> Result<(), Infallible> {
            Ok(())
        }

        fn set_high(&mut self) -> Result<(), Infallible> {
            Ok(())
        }
    }

    struct Calls(u64);

    impl Count for Calls {
        const UNIT: &'static str = "calls";
        const PER_SECOND: u64 = 1;

        fn count(&mut self) -> u64 {
            self.0 += 1;
            self.0
        }
    }

    fn board<const N: usize>(
        arriving: [Result<u8, Damaged>; N],
    ) -> SerialBoard<Polled<Line>, Buffered, NoPin, Calls> {
        let receiver = Polled::new(Line(arriving.into()));
        SerialBoard { receiver, sender: Buffered::default(), pin: NoPin, counter: Calls(0) }
    }

    #[test]
    fn a_line_ends_with_a_carriage_return_and_nothing_waits_in_a_buffer() {
        let mut board = board([]);
        let written = fmt::Write::write_str(&mut board, "one\n\ntwo");
        assert_eq!(written, Ok(()));
        assert_eq!(board.sender.sent, b"one\r\n\r\ntwo");
        assert!(board.sender.buffer.is_empty());
    }

    #[test]
    fn a_damaged_byte_is_none_and_the_next_ones_are_read() {
        let mut board = board([Ok(b'a'), Err(Damaged), Ok(b'b')]);
        let bytes: Vec<_> = (0..4).map(|_| board.read()).collect();
        assert_eq!(bytes, [Some(b'a'), None, Some(b'b'), None]);
    }

    #[test]
    fn a_byte_that_was_seen_to_be_there_is_kept() {
        let mut receiver = board([Ok(b'a')]).receiver;
        assert_eq!([receiver.read_ready(), receiver.read_ready()], [Ok(true); 2]);
        let mut bytes = [0; 2];
        assert_eq!((receiver.read(&mut bytes), bytes[0]), (Ok(1), b'a'));
        assert_eq!(receiver.read_ready(), Ok(false));
    }
}
