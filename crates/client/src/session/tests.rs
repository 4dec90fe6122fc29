mod hostile;
mod patience;
mod tokens;
