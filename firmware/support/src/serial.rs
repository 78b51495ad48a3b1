//! A board made of parts, each behind the traits of `embedded-hal` and `embedded-io`: a serial line, a pin, a counter.

use crate::{Board, Count};
use core::convert::Infallible;
use core::fmt;
use embedded_hal::digital::OutputPin;
use embedded_hal_nb::nb;
use embedded_io::{ErrorType, Read, ReadReady, Write};

/// A board of a serial line, a measuring pin, and a counter.
#[derive(Debug)]
pub struct SerialBoard<S, P, C> {
    /// What is typed, and where text goes.
    pub serial: S,
    /// The measuring pin.
    pub pin: P,
    /// Counts what a token takes.
    pub counter: C,
}

impl<S: Write, P, C> fmt::Write for SerialBoard<S, P, C> {
    /// Terminals go to the start of a line at a carriage return only. Returns when everything is out, so that nothing of it
    /// is left for the time of the next token; what a line does not take is lost.
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for line in text.split_inclusive('\n') {
            let _ = match line.strip_suffix('\n') {
                Some(line) => {
                    self.serial.write_all(line.as_bytes()).and_then(|()| self.serial.write_all(b"\r\n"))
                }
                None => self.serial.write_all(line.as_bytes()),
            };
        }
        let _ = self.serial.flush();
        Ok(())
    }
}

impl<S: Read + ReadReady + Write, P: OutputPin<Error = Infallible>, C: Count> Board for SerialBoard<S, P, C> {
    const UNIT: &'static str = C::UNIT;
    const PER_SECOND: u64 = C::PER_SECOND;
    type Pin = P;

    fn count(&mut self) -> u64 {
        self.counter.count()
    }

    /// A byte that came damaged is none.
    fn read(&mut self) -> Option<u8> {
        let mut byte = [0];
        let is_ready = matches!(self.serial.read_ready(), Ok(true));
        (is_ready && matches!(self.serial.read(&mut byte), Ok(1))).then_some(byte[0])
    }

    fn pin(&mut self) -> &mut P {
        &mut self.pin
    }
}

/// A serial line that is asked for a byte by `embedded-hal-nb`, for HALs whose `embedded-io` waits for one.
#[derive(Debug)]
pub struct Polled<S> {
    serial: S,
    received: Option<u8>,
}

impl<S> Polled<S> {
    /// A line from which nothing was read.
    pub const fn new(serial: S) -> Self {
        Self { serial, received: None }
    }
}

impl<S: ErrorType> ErrorType for Polled<S> {
    type Error = S::Error;
}

impl<S: Write> Write for Polled<S> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Self::Error> {
        self.serial.write(bytes)
    }

    fn flush(&mut self) -> Result<(), Self::Error> {
        self.serial.flush()
    }
}

impl<E, S> ReadReady for Polled<S>
where
    S: ErrorType<Error = E> + embedded_hal_nb::serial::Read<Error = E>,
{
    fn read_ready(&mut self) -> Result<bool, E> {
        if self.received.is_none() {
            self.received = match self.serial.read() {
                Ok(byte) => Some(byte),
                Err(nb::Error::WouldBlock) => None,
                Err(nb::Error::Other(error)) => return Err(error),
            };
        }
        Ok(self.received.is_some())
    }
}

impl<E, S> Read for Polled<S>
where
    E: embedded_io::Error,
    S: ErrorType<Error = E> + embedded_hal_nb::serial::Read<Error = E>,
{
    fn read(&mut self, bytes: &mut [u8]) -> Result<usize, E> {
        let Some(first) = bytes.first_mut() else {
            return Ok(0);
        };
        while !self.read_ready()? {}
        *first = self.received.take().unwrap_or_default();
        Ok(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;
    use std::vec::Vec;

    /// A UART: bytes that arrive, or damaged ones, and bytes sent; a buffer holds what is not flushed.
    #[derive(Default)]
    struct Uart {
        arriving: VecDeque<Result<u8, Kind>>,
        buffer: Vec<u8>,
        sent: Vec<u8>,
    }

    type Kind = embedded_hal_nb::serial::ErrorKind;

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct Damaged(Kind);

    impl core::fmt::Display for Damaged {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "{}", self.0)
        }
    }

    impl core::error::Error for Damaged {}

    impl embedded_io::Error for Damaged {
        fn kind(&self) -> embedded_io::ErrorKind {
            embedded_io::ErrorKind::InvalidData
        }
    }

    impl embedded_hal_nb::serial::Error for Damaged {
        fn kind(&self) -> Kind {
            self.0
        }
    }

    impl ErrorType for Uart {
        type Error = Damaged;
    }

    impl embedded_hal_nb::serial::ErrorType for Uart {
        type Error = Damaged;
    }

    impl embedded_hal_nb::serial::Read for Uart {
        fn read(&mut self) -> nb::Result<u8, Damaged> {
            match self.arriving.pop_front() {
                None => Err(nb::Error::WouldBlock),
                Some(byte) => byte.map_err(|kind| nb::Error::Other(Damaged(kind))),
            }
        }
    }

    impl Write for Uart {
        /// Takes three bytes at a time.
        fn write(&mut self, bytes: &[u8]) -> Result<usize, Damaged> {
            let taken = bytes.len().min(3);
            self.buffer.extend(&bytes[..taken]);
            Ok(taken)
        }

        fn flush(&mut self) -> Result<(), Damaged> {
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

    fn board(
        arriving: impl IntoIterator<Item = Result<u8, Kind>>,
    ) -> SerialBoard<Polled<Uart>, NoPin, Calls> {
        let uart = Uart { arriving: arriving.into_iter().collect(), ..Uart::default() };
        SerialBoard { serial: Polled::new(uart), pin: NoPin, counter: Calls(0) }
    }

    #[test]
    fn a_line_ends_with_a_carriage_return_and_nothing_waits_in_a_buffer() {
        let mut board = board([]);
        let written = fmt::Write::write_str(&mut board, "one\n\ntwo");
        assert_eq!(written, Ok(()));
        assert_eq!(board.serial.serial.sent, b"one\r\n\r\ntwo");
        assert!(board.serial.serial.buffer.is_empty());
    }

    #[test]
    fn a_damaged_byte_is_none_and_the_next_ones_are_read() {
        let mut board = board([Ok(b'a'), Err(Kind::FrameFormat), Ok(b'b')]);
        let bytes: Vec<_> = (0..4).map(|_| board.read()).collect();
        assert_eq!(bytes, [Some(b'a'), None, Some(b'b'), None]);
    }

    #[test]
    fn a_byte_that_was_seen_to_be_there_is_kept() {
        let mut line = board([Ok(b'a')]).serial;
        assert_eq!([line.read_ready(), line.read_ready()], [Ok(true); 2]);
        let mut bytes = [0; 2];
        assert_eq!((line.read(&mut bytes), bytes[0]), (Ok(1), b'a'));
        assert_eq!(line.read_ready(), Ok(false));
    }
}
