//! The modules of a crate as its source has them, and what each of them names.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use proc_macro2::{TokenStream, TokenTree};
use syn::{Attribute, Item, UseTree, spanned::Spanned as _, visit::Visit};

/// A module's path below its crate: empty for the root.
pub(crate) type Name = Vec<String>;

/// A crate's modules, those of tests left out.
pub(crate) struct Crate {
    pub(crate) modules: BTreeMap<Name, Module>,
}

/// What a module names.
#[derive(Default)]
pub(crate) struct Module {
    /// Absolute paths, with where they stand.
    paths: Vec<(Name, String)>,
    /// Names that it has from elsewhere: the name, and the path that it stands for.
    imported: BTreeMap<String, Name>,
    file: PathBuf,
}

impl Crate {
    /// Reads all that is reached from a root.
    pub(crate) fn read(root: &Path) -> Self {
        let mut read = Self { modules: BTreeMap::new() };
        read.file(&Vec::new(), root, root.parent().expect("a folder"));
        read
    }

    fn file(&mut self, name: &Name, file: &Path, children: &Path) {
        let text =
            fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let parsed =
            syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        self.items(name, &parsed.items, file, children);
    }

    fn items(&mut self, name: &Name, items: &[Item], file: &Path, children: &Path) {
        let below = items.iter().filter_map(|item| match item {
            Item::Mod(module) => Some(module.ident.to_string()),
            _ => None,
        });
        let mut reader = Reader {
            name,
            below: below.collect(),
            module: Module { file: file.to_owned(), ..Module::default() },
        };
        for item in items {
            reader.visit_item(item);
        }
        let module = reader.module;
        self.modules.insert(name.clone(), module);
        for item in items {
            let Item::Mod(module) = item else { continue };
            if is_for_tests(&module.attrs) {
                continue;
            }
            let own = module.ident.to_string();
            let child: Name = name.iter().cloned().chain([own.clone()]).collect();
            let folder = children.join(&own);
            if let Some((_, items)) = &module.content {
                self.items(&child, items, file, &folder);
                continue;
            }
            let files = [children.join(format!("{own}.rs")), folder.join("mod.rs")];
            let file = files.iter().find(|file| file.is_file());
            self.file(&child, file.unwrap_or_else(|| panic!("no {files:?}")), &folder);
        }
    }

    /// Who knows whom, with one place where it is written.
    pub(crate) fn knows(&self) -> BTreeMap<(Name, Name), String> {
        let mut knows = BTreeMap::new();
        for (name, module) in &self.modules {
            for (path, at) in &module.paths {
                if let Some(known) = self.owner(path)
                    && known != *name
                {
                    let at = format!("({}:{at})", module.file.display());
                    knows.entry((name.clone(), known)).or_insert(at);
                }
            }
        }
        knows
    }

    /// The module in which a path ends: where it names what a module only passes on, the one it has it from.
    fn owner(&self, path: &[String]) -> Option<Name> {
        let mut path = path.to_vec();
        let mut seen = BTreeSet::new();
        while seen.insert(path.clone()) {
            let length = (0..=path.len()).rev().find(|&n| self.modules.contains_key(&path[..n]))?;
            let module = path[..length].to_vec();
            let passed_on =
                path.get(length).and_then(|name| self.modules[&module].imported.get(name));
            match passed_on {
                Some(from) => {
                    let rest = path.split_off(length + 1);
                    path = from.iter().cloned().chain(rest).collect();
                }
                None => return Some(module),
            }
        }
        None
    }
}

struct Reader<'a> {
    name: &'a Name,
    below: BTreeSet<String>,
    module: Module,
}

impl Reader<'_> {
    /// As seen from the crate's root; absent for what belongs to another crate.
    fn absolute(&self, path: &[String]) -> Option<Name> {
        let (first, rest) = path.split_first()?;
        let (mut base, mut rest) = match first.as_str() {
            "crate" => (Vec::new(), rest),
            "self" => (self.name.clone(), rest),
            "super" => (self.name.clone(), path),
            child if self.below.contains(child) => (self.name.clone(), path),
            _ => return None,
        };
        while rest.first().is_some_and(|part| part == "super") {
            base.pop()?;
            rest = &rest[1..];
        }
        base.extend_from_slice(rest);
        Some(base)
    }

    /// Takes the paths out of what is not parsed.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut words = Vec::new();
        flat(tokens, &mut words);
        for (start, (word, line)) in words.iter().enumerate() {
            if !["crate", "self", "super"].contains(&word.as_str()) {
                continue;
            }
            let mut parts = vec![word.clone()];
            let mut rest = &words[start + 1..];
            while let [(one, _), (other, _), (name, _), ..] = rest
                && one == ":"
                && other == ":"
            {
                parts.push(name.clone());
                rest = &rest[3..];
            }
            if parts.len() > 1
                && let Some(path) = self.absolute(&parts)
            {
                self.module.paths.push((path, line.to_string()));
            }
        }
    }

    fn used(&mut self, before: &[String], tree: &UseTree) {
        let joined = |ident: &syn::Ident| -> Name {
            before.iter().cloned().chain([ident.to_string()]).collect()
        };
        let (path, as_name) = match tree {
            UseTree::Path(path) => return self.used(&joined(&path.ident), &path.tree),
            UseTree::Group(group) => {
                return group.items.iter().for_each(|tree| self.used(before, tree));
            }
            UseTree::Name(name) if name.ident == "self" => {
                (before.to_vec(), before.last().cloned())
            }
            UseTree::Name(name) => (joined(&name.ident), Some(name.ident.to_string())),
            UseTree::Rename(name) => (joined(&name.ident), Some(name.rename.to_string())),
            UseTree::Glob(_) => (before.to_vec(), None),
        };
        if let Some(path) = self.absolute(&path) {
            self.module.paths.push((path.clone(), tree.span().start().line.to_string()));
            if let Some(name) = as_name {
                self.module.imported.insert(name, path);
            }
        }
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        match item {
            // Modules are read on their own.
            Item::Mod(_) => {}
            Item::Use(used) if !is_for_tests(&used.attrs) => self.used(&[], &used.tree),
            Item::Fn(function) if is_for_tests(&function.attrs) => {}
            Item::Impl(implementation) if is_for_tests(&implementation.attrs) => {}
            _ => syn::visit::visit_item(self, item),
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let parts: Name = path.segments.iter().map(|part| part.ident.to_string()).collect();
        let inside = ["crate", "self", "super"].contains(&parts[0].as_str()) && parts.len() > 1;
        if inside && let Some(path_in_crate) = self.absolute(&parts) {
            let line = path.span().start().line.to_string();
            self.module.paths.push((path_in_crate, line));
        }
        syn::visit::visit_path(self, path);
    }

    // Within the brackets of a macro or an attribute there is no syntax yet, but there may be paths.
    fn visit_macro(&mut self, called: &'ast syn::Macro) {
        self.tokens(called.tokens.clone());
        syn::visit::visit_macro(self, called);
    }

    fn visit_meta_list(&mut self, list: &'ast syn::MetaList) {
        self.tokens(list.tokens.clone());
        syn::visit::visit_meta_list(self, list);
    }
}

/// The words and signs of a stream, with their lines; what stands in brackets is between two signs.
fn flat(tokens: TokenStream, words: &mut Vec<(String, usize)>) {
    for token in tokens {
        let line = token.span().start().line;
        match token {
            TokenTree::Group(group) => {
                words.push(("(".to_owned(), line));
                flat(group.stream(), words);
                words.push((")".to_owned(), line));
            }
            other => words.push((other.to_string(), line)),
        }
    }
}

fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.parse_args::<syn::Ident>().is_ok_and(|condition| condition == "test")
    })
}
