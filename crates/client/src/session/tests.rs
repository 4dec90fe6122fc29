mod hostile;
mod retries;
mod tokens;
