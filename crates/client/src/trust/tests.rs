mod files;
mod named;
mod said;
