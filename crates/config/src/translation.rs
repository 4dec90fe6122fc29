//! What turning another server's file into ours needs: text with doubts, and how YAML 1.1 is read.

mod writer;
pub(super) mod yaml11;

pub(super) use self::writer::{Writer, quoted};
