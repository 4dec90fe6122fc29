//! HTTP/1.1 messages, taken apart and put together again.

use std::{
    io::{self, BufRead, Read, Write},
    net::{Shutdown, TcpStream},
};

/// A request.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// `GET`
    pub method: String,
    /// Path and query, as sent.
    pub target: String,
    /// Its body, whatever it was sent in.
    pub body: Vec<u8>,
    headers: Vec<(String, String)>,
}

/// A response.
#[derive(Debug, Clone, Default)]
pub struct Response {
    /// `200`
    pub status: u16,
    /// Its body, whatever it was sent in.
    pub body: Vec<u8>,
    headers: Vec<(String, String)>,
    /// Of a body that is not sent, as for HEAD.
    length: Option<String>,
}

macro_rules! headers {
    () => {
        /// The first header of this name.
        pub fn header(&self, name: &str) -> Option<&str> {
            let named = |(known, _): &&(String, String)| known.eq_ignore_ascii_case(name);
            self.headers.iter().find(named).map(|(_, value)| value.as_str())
        }

        /// Takes all headers of this name away.
        pub fn remove(&mut self, name: &str) {
            self.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        }

        /// Has one header of this name, with this value.
        pub fn set(&mut self, name: &str, value: impl Into<String>) {
            self.remove(name);
            self.headers.push((name.to_owned(), value.into()));
        }

        /// Changes the values of all headers of this name.
        pub fn change(&mut self, name: &str, change: impl Fn(&str) -> String) {
            for (known, value) in &mut self.headers {
                if known.eq_ignore_ascii_case(name) {
                    *value = change(value);
                }
            }
        }

        /// Adds a header, beside those that have its name.
        #[must_use]
        pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
            self.headers.push((name.to_owned(), value.into()));
            self
        }
    };
}

impl Request {
    headers!();

    /// Without the query.
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// `None` if nothing came.
    pub(super) fn read(stream: &mut impl BufRead) -> io::Result<Option<Self>> {
        let Some((first, headers)) = head(stream)? else { return Ok(None) };
        let mut words = first.split(' ').map(str::to_owned);
        let mut word = || words.next().unwrap_or_default();
        let mut request = Self { method: word(), target: word(), headers, body: Vec::new() };
        request.body = match request.framing() {
            Framing::Chunked => chunks(stream)?,
            Framing::Length(length) => exactly(stream, length)?,
            Framing::End => Vec::new(),
        };
        request.unframe();
        Ok(Some(request))
    }

    pub(super) fn write(&self, mut stream: &TcpStream) -> io::Result<()> {
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.target).into_bytes();
        let framed = !self.body.is_empty() || matches!(&*self.method, "POST" | "PUT" | "PATCH");
        let length = framed.then(|| self.body.len().to_string());
        finish(&mut head, &self.headers, length.as_deref());
        stream.write_all(&head)?;
        stream.write_all(&self.body)
    }

    fn framing(&self) -> Framing {
        Framing::of(self.header("transfer-encoding"), self.header("content-length"))
    }

    fn unframe(&mut self) {
        for name in HOP_BY_HOP {
            self.remove(name);
        }
    }
}

impl Response {
    headers!();

    /// With nothing but a body.
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, body: body.into(), headers: Vec::new(), length: None }
    }

    /// With a JSON body.
    pub fn json(status: u16, body: &serde_json::Value) -> Self {
        Self::new(status, body.to_string()).with("Content-Type", "application/json")
    }

    pub(super) fn read(stream: &mut impl BufRead, method: &str) -> io::Result<Self> {
        let Some((first, headers)) = head(stream)? else {
            return Err(io::ErrorKind::UnexpectedEof.into());
        };
        let status = first.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or(io::ErrorKind::InvalidData)?;
        let mut response = Self { status, headers, body: Vec::new(), length: None };
        let length = response.header("content-length").map(str::to_owned);
        if method == "HEAD" || matches!(status, 204 | 304) {
            response.length = length;
        } else {
            response.body =
                match Framing::of(response.header("transfer-encoding"), length.as_deref()) {
                    Framing::Chunked => chunks(stream)?,
                    Framing::Length(length) => exactly(stream, length)?,
                    Framing::End => rest(stream)?,
                };
        }
        for name in HOP_BY_HOP {
            response.remove(name);
        }
        Ok(response)
    }

    pub(super) fn write(&self, mut stream: &TcpStream) -> io::Result<()> {
        let mut head = format!("HTTP/1.1 {} -\r\n", self.status).into_bytes();
        let own = self.body.len().to_string();
        let length = if self.body.is_empty() { self.length.as_ref() } else { None };
        let bodiless = self.status == 204 || self.status == 304;
        let length = length.unwrap_or(&own);
        finish(&mut head, &self.headers, (!bodiless).then_some(length));
        stream.write_all(&head)?;
        stream.write_all(&self.body)?;
        stream.shutdown(Shutdown::Write)?;
        // What the client still sends is read, or the kernel would take the answer back.
        io::copy(&mut stream.take(LEFTOVERS), &mut io::sink()).map(drop)
    }
}

enum Framing {
    Chunked,
    Length(usize),
    End,
}

impl Framing {
    fn of(encoding: Option<&str>, length: Option<&str>) -> Self {
        match (encoding, length.and_then(|length| length.parse().ok())) {
            (Some(encoding), _) if encoding.eq_ignore_ascii_case("chunked") => Self::Chunked,
            (_, Some(length)) => Self::Length(length),
            _ => Self::End,
        }
    }
}

/// The first line and the headers.
#[expect(clippy::type_complexity, reason = "a pair of what stands there")]
fn head(stream: &mut impl BufRead) -> io::Result<Option<(String, Vec<(String, String)>)>> {
    let first = line(stream)?;
    if first.is_empty() {
        return Ok(None);
    }
    let mut headers = Vec::new();
    loop {
        let line = line(stream)?;
        let Some((name, value)) = line.split_once(':') else { return Ok(Some((first, headers))) };
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
}

fn line(stream: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    stream.read_line(&mut line)?;
    Ok(line.trim_end().to_owned())
}

fn chunks(stream: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let size = line(stream)?;
        let size = size.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(size, 16).map_err(|_| io::ErrorKind::InvalidData)?;
        body.extend(exactly(stream, size)?);
        line(stream)?;
        if size == 0 {
            return Ok(body);
        }
    }
}

fn exactly(stream: &mut impl Read, length: usize) -> io::Result<Vec<u8>> {
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    Ok(body)
}

fn rest(stream: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    stream.read_to_end(&mut body)?;
    Ok(body)
}

fn finish(head: &mut Vec<u8>, headers: &[(String, String)], length: Option<&str>) {
    for (name, value) in headers {
        head.extend(format!("{name}: {value}\r\n").bytes());
    }
    if let Some(length) = length {
        head.extend(format!("Content-Length: {length}\r\n").bytes());
    }
    head.extend(b"Connection: close\r\n\r\n");
}

/// Of one connection alone.
const HOP_BY_HOP: &[&str] =
    &["connection", "keep-alive", "content-length", "transfer-encoding", "expect", "upgrade"];
/// More than any test sends behind an answer.
const LEFTOVERS: u64 = 16 * 1024 * 1024;
