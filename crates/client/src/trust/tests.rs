mod families;
mod files;
mod named;
mod said;
