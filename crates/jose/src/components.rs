//! What the public keys of each type consist of (RFC 7518 §6, RFC 8037 §2).

/// The numbers of a public key, as a JWK lists it: big-endian, coordinates padded to the curve's size.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Components {
    Edwards { x: Box<[u8]> },
    Elliptic { curve: &'static str, x: Box<[u8]>, y: Box<[u8]> },
    Octets,
    Rsa { n: Box<[u8]>, e: Box<[u8]> },
}
