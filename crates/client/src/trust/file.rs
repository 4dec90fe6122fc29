//! Files of certificates to trust, read as Go reads them (`CertPool.AppendCertsFromPEM`): whatever is no certificate
//! there is passed over in silence. Here it is told.

use std::{
    fs,
    io::{self, Read as _},
    path::Path,
};

use portpass_jose::pem;
use rustls::pki_types::CertificateDer;

use super::certificate;

/// The largest file that is read, in bytes: no bundle is as large.
pub const MAX_FILE: u64 = 16 * 1024 * 1024;

/// A file's bytes. It may be a pipe, as shells make them, or something that never ends.
pub fn read_limited(path: &Path) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    let read = fs::File::open(path)?.take(MAX_FILE + 1).read_to_end(&mut content)?;
    if u64::try_from(read).is_ok_and(|read| read > MAX_FILE) {
        return Err(io::Error::other("it has more than 16 MB"));
    }
    Ok(content)
}

/// The certificates of a file, and what is wrong with the rest of it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Bundle {
    /// In their order.
    pub certificates: Vec<CertificateDer<'static>>,
    /// One sentence each, with the number of the block. There is at least one where there is no certificate.
    pub faults: Vec<String>,
}

impl Bundle {
    /// Reads all blocks between `-----BEGIN` and `-----END` lines.
    pub fn read(bytes: &[u8]) -> Self {
        let mut bundle = Self::default();
        let blocks = Block::all(bytes);
        for (block, number) in blocks.iter().zip(1..) {
            match block.certificate() {
                Ok(certificate) => bundle.certificates.extend(certificate),
                Err(fault) => bundle.faults.push(format!("block {number} is ignored: {fault}")),
            }
        }
        if blocks.is_empty() {
            bundle.faults.push(without_block(bytes).to_owned());
        } else if bundle.certificates.is_empty() && bundle.faults.is_empty() {
            bundle.faults.push("it has a private key and no certificate".to_owned());
        }
        bundle
    }

    /// The faults with the file that they are in.
    pub fn faults_of(&self, file: &Path) -> impl Iterator<Item = String> {
        self.faults.iter().map(move |fault| format!("{}: {fault}", file.display()))
    }
}

/// One block of PEM, good or bad.
struct Block<'a> {
    /// From the first byte of its first line to the last of its last.
    bytes: &'a [u8],
    /// What its `-----BEGIN` line calls it.
    begins: String,
    /// The same of its `-----END` line, if it has one.
    ends: Option<String>,
}

impl<'a> Block<'a> {
    fn all(bytes: &'a [u8]) -> Vec<Self> {
        let mut blocks: Vec<Self> = Vec::new();
        // Where the block starts that is open.
        let mut open = None;
        let mut at = 0;
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (start, bare) = (at, line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line));
            at += line.len();
            if let Some(begins) = label(bare.trim_ascii(), "-----BEGIN ") {
                blocks.push(Self { bytes: &bytes[start..at], begins, ends: None });
                open = Some(start);
            } else if let (Some(start), Some(block)) = (open, blocks.last_mut()) {
                block.bytes = &bytes[start..at];
                block.ends = label(line.trim_ascii(), "-----END ");
                open = block.ends.is_none().then_some(start);
            }
        }
        blocks
    }

    /// The certificate; none where there is a key, which is nobody's fault.
    fn certificate(&self) -> Result<Option<CertificateDer<'static>>, String> {
        if self.bytes.starts_with(BYTE_ORDER_MARK) {
            return Err("a byte order mark comes before it; save the file without one".to_owned());
        }
        if self.bytes.first().is_some_and(u8::is_ascii_whitespace) {
            return Err("it is indented; remove the spaces before -----BEGIN".to_owned());
        }
        match self.begins.as_str() {
            "CERTIFICATE" => {}
            "PKCS7" | "CMS" => return Err(format!("it is {}, which no client reads; `openssl pkcs7 -print_certs -in FILE` converts it to certificates", self.begins)),
            "TRUSTED CERTIFICATE" => return Err("it is a TRUSTED CERTIFICATE, which only OpenSSL reads; `openssl x509 -in FILE` converts it to a plain one".to_owned()),
            "CERTIFICATE REQUEST" | "NEW CERTIFICATE REQUEST" => return Err("it is a certificate request, not a certificate".to_owned()),
            name if name.ends_with("PRIVATE KEY") || name.ends_with("PARAMETERS") => return Ok(None),
            name => return Err(format!("it is called {name:?}, but Go reads only CERTIFICATE")),
        }
        match self.ends.as_deref() {
            None => return Err("it has no -----END line".to_owned()),
            Some("CERTIFICATE") => {}
            Some(ends) => return Err(format!("it begins with CERTIFICATE and ends with {ends:?}")),
        }
        if self.bytes.contains(&b':') {
            return Err(
                "it has header lines, and Go accepts no certificate with header lines".to_owned()
            );
        }
        let Some(Ok(der)) = pem::blocks::<CertificateDer<'static>>(self.bytes).next() else {
            return Err("its content is not base64".to_owned());
        };
        if certificate::parsed(&der).is_none() {
            return Err("it is base64, but not a readable certificate".to_owned());
        }
        Ok(Some(der))
    }
}

/// UTF-8's, as editors of Windows write it. Go does not see the line that it stands before.
const BYTE_ORDER_MARK: &[u8] = &[0xef, 0xbb, 0xbf];

/// The label of `-----BEGIN LABEL-----`.
fn label(line: &[u8], mark: &str) -> Option<String> {
    let label = line.strip_prefix(mark.as_bytes())?.strip_suffix(b"-----")?;
    // A file whose lines end in a carriage return alone is one line, and so is one that has lost its line breaks: what
    // stands between its marks may be a key.
    let is_plain = label.len() <= 40
        && label.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ')
        && !label.windows(2).any(|pair| pair == b"--");
    is_plain.then(|| String::from_utf8_lossy(label).into_owned())
}

/// What a file is that has no block.
fn without_block(bytes: &[u8]) -> &'static str {
    let has = |needle: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
    if bytes.trim_ascii().is_empty() {
        "it is empty"
    } else if certificate::parsed(&CertificateDer::from(bytes)).is_some() {
        "it is a certificate in DER, but clients read only PEM; `openssl x509 -inform der -in FILE` converts it"
    } else if bytes.starts_with(&[0x30]) && has(PKCS) {
        "it is PKCS#7 or PKCS#12 in DER, but clients read only PEM; `openssl pkcs7 -inform der -print_certs -in FILE` or `openssl pkcs12 -nokeys -in FILE` converts it"
    } else if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        "it is UTF-16; save it as UTF-8"
    } else if has(b"-----BEGIN ") && has(b"\r") && !has(b"\n") {
        "its lines end only in a carriage return, which no client accepts as a line end"
    } else {
        "it has no certificate in PEM (-----BEGIN CERTIFICATE-----)"
    }
}

/// The arc of PKCS#7, 1.2.840.113549.1.7, which PKCS#12 holds too.
const PKCS: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07];
