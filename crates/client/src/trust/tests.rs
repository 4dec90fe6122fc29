mod families;
mod files;
mod fixture;
mod name_constraints;
mod named;
mod said;
