//! What a reader of YAML 1.1 takes for true, false and a number, and whether YAML 1.2 agrees.

/// A value, and whether it means something else today.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Old<T> {
    pub(crate) value: T,
    pub(crate) is_old: bool,
}

/// `yes`, `on` and `y` are true as well.
pub(crate) fn boolean(text: &str) -> Option<Old<bool>> {
    let value = match text {
        "true" | "True" | "TRUE" => return Some(Old { value: true, is_old: false }),
        "false" | "False" | "FALSE" => return Some(Old { value: false, is_old: false }),
        "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => true,
        "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => false,
        _ => return None,
    };
    Some(Old { value, is_old: true })
}

/// `0900` is octal, `1_000` a thousand, `0b11` three.
pub(crate) fn integer(text: &str) -> Option<Old<i64>> {
    if let Ok(value) = text.parse::<i64>()
        && (text == "0" || !text.trim_start_matches(['-', '+']).starts_with('0'))
    {
        return Some(Old { value, is_old: false });
    }
    let plain = text.replace('_', "");
    let (sign, digits) = match plain.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, plain.strip_prefix('+').unwrap_or(&plain)),
    };
    let (radix, digits) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &digits[2..]),
        [b'0', b'b' | b'B', ..] => (2, &digits[2..]),
        [b'0', b'o' | b'O', ..] => (8, &digits[2..]),
        [b'0', _, ..] => (8, &digits[1..]),
        _ => (10, digits),
    };
    let legal = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let value = legal.then(|| i64::from_str_radix(digits, radix).ok()).flatten()?;
    Some(Old { value: sign * value, is_old: true })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_numbers_are_those_of_yaml_1_1() {
        for (text, value, is_old) in [
            ("900", 900, false),
            ("0", 0, false),
            ("-2", -2, false),
            ("01604", 900, true),
            ("0o1604", 900, true),
            ("0x384", 900, true),
            ("0b11", 3, true),
            ("1_000", 1000, true),
            ("-010", -8, true),
        ] {
            assert_eq!(integer(text), Some(Old { value, is_old }), "{text}");
        }
        for text in ["", "0900", "ten", "9.5", "0x", "15m", "_"] {
            assert_eq!(integer(text), None, "{text}");
        }
        for (text, value, is_old) in [
            ("true", true, false),
            ("FALSE", false, false),
            ("yes", true, true),
            ("Off", false, true),
            ("n", false, true),
        ] {
            assert_eq!(boolean(text), Some(Old { value, is_old }), "{text}");
        }
        for text in ["", "1", "yEs", "ja"] {
            assert_eq!(boolean(text), None, "{text}");
        }
    }
}
