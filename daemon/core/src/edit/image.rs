//! The image of one container of an environment becomes another one, wherever git asks for it: in a manifest, in a patch,
//! or by a substituted name.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use super::{Edit, Refusal, SubstituteRequest, not_editable, not_exact, place, set_substitute};
use crate::desired::{Environment, KindScopes, discover, load};
use crate::location::Location;
use crate::object::{DesiredObject, ObjectId};
use crate::schema::suggest;
use crate::tree::FileTree;
use crate::yaml::Written;

/// Where pods are described, from the root of an object.
const PODS_AT: [&str; 3] = ["/spec", "/spec/template/spec", "/spec/jobTemplate/spec/template/spec"];
const CONTAINERS: [&str; 2] = ["containers", "initContainers"];
/// Bytes of the name of an image.
const MAX_BYTES: usize = 1024;

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub struct ImageRequest<'a> {
    /// The environment.
    pub environment: &'a str,
    /// `CONTAINER`, `OBJECT`, `KIND/OBJECT` or `KIND/OBJECT/CONTAINER`.
    pub target: &'a str,
    /// The image, with its tag or digest.
    pub image: &'a str,
}

/// One container of an environment.
struct Container {
    object: Arc<DesiredObject>,
    name: String,
    image: String,
    pointer: String,
}

impl Container {
    /// `Deployment/web/main`, which is also how it can be asked for.
    fn path(&self) -> String {
        format!("{}/{}/{}", self.object.reference.gvk.kind, self.object.reference.name, self.name)
    }

    fn is_meant(&self, target: &str) -> bool {
        let reference = &self.object.reference;
        let kind = |kind: &str| kind.eq_ignore_ascii_case(&reference.gvk.kind);
        match target.split('/').collect::<Vec<_>>().as_slice() {
            [name] => *name == self.name || *name == reference.name,
            [of, name] => kind(of) && *name == reference.name,
            [of, name, container] => kind(of) && *name == reference.name && *container == self.name,
            _ => false,
        }
    }
}

/// The edit that gives a container its image.
pub fn set_image(
    tree: &FileTree,
    scopes: &dyn KindScopes,
    request: ImageRequest<'_>,
) -> Result<Edit, Refusal> {
    let ImageRequest { environment, target, image } = request;
    if !is_image(image) {
        let shown: String = image.chars().take(100).flat_map(char::escape_debug).collect();
        return Err(Refusal::new(format!("`{shown}` is not the name of an image")));
    }
    let settings = place::environment(tree, environment)?;
    let loaded = load(tree, &settings, scopes);
    if loaded.problems.iter().any(crate::problem::Problem::is_error) {
        let message =
            format!("the environment `{environment}` has errors: {}", place::first(&loaded.problems));
        return Err(Refusal::new(message).help("`tidegate validate` lists all of them"));
    }
    let all: Vec<Container> = loaded.objects.iter().flat_map(containers).collect();
    let container = choose(&all, target)?;
    let location = place_of(tree, &settings, container);
    let written = tree.get(&location.file).and_then(|bytes| Written::at(bytes, location.position));
    let written = written.ok_or_else(|| not_editable(&location))?;
    let edit = if written.text == container.image {
        Edit::new(tree, &location, &written, image).ok_or_else(|| not_editable(&location))?
    } else {
        substituted(tree, &settings, &Template { text: &written.text, location: &location }, request)?
    };
    let changed = Changes { before: tree, scopes, environment, container, image }.of(&edit)?;
    if changed.is_empty() {
        return Ok(edit);
    }
    let refusal = Refusal::new(format!("what stands here is used by others than {} too", container.path()));
    Err(refusal.at(&edit.location).candidates(changed).help(
        "to change them all, use `tidegate set substitute` or edit the file; to change one, give it a patch in environment.yaml",
    ))
}

/// Loosely what registries take: nothing that YAML or a shell would read as something else.
fn is_image(image: &str) -> bool {
    image.len() <= MAX_BYTES
        && image.starts_with(|c: char| c.is_ascii_alphanumeric())
        && image.ends_with(|c: char| c.is_ascii_alphanumeric())
        && image.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/' | ':' | '@'))
}

fn containers(object: &Arc<DesiredObject>) -> Vec<Container> {
    let lists = PODS_AT.iter().flat_map(|at| CONTAINERS.map(|list| format!("{at}/{list}")));
    let in_list = |list: String| {
        let items =
            object.value().pointer(&list).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let one = |(index, item): (usize, &Value)| {
            let text = |key| item.get(key).and_then(Value::as_str).map(str::to_owned);
            let pointer = format!("{list}/{index}/image");
            Some(Container { object: object.clone(), name: text("name")?, image: text("image")?, pointer })
        };
        items.iter().enumerate().filter_map(one).collect::<Vec<_>>()
    };
    lists.flat_map(in_list).collect()
}

fn choose<'c>(all: &'c [Container], target: &str) -> Result<&'c Container, Refusal> {
    let meant: Vec<&Container> = all.iter().filter(|container| container.is_meant(target)).collect();
    match meant.as_slice() {
        [one] => Ok(one),
        [] => {
            let names: BTreeSet<&str> = all
                .iter()
                .flat_map(|container| [container.name.as_str(), container.object.reference.name.as_str()])
                .collect();
            let near = suggest::nearest(target, names.into_iter()).map(str::to_owned);
            let refusal = Refusal::new(format!("no container or object of a container is `{target}`"));
            Err(place::with_near(refusal, near.as_deref())
                .candidates(all.iter().map(Container::path).collect()))
        }
        several => Err(Refusal::new(format!("`{target}` can mean {} containers", several.len()))
            .candidates(several.iter().map(|container| container.path()).collect())
            .help("name one of them in full")),
    }
}

/// Where git asks for the image: in its manifest, or in the value of a patch.
fn place_of(tree: &FileTree, environment: &Environment, container: &Container) -> Location {
    let location = container.object.spans.locate(&container.pointer);
    if location.file != environment.location.file {
        return location;
    }
    let patched = place::root(tree, environment)
        .and_then(|(_, root)| place::patched_value(&root, location.position, &container.pointer));
    Location { position: patched.unwrap_or(location.position), ..location }
}

/// An image as it is written, with `${NAME}` in it.
struct Template<'a> {
    text: &'a str,
    location: &'a Location,
}

/// The edit of the one name that makes the written text the image.
fn substituted(
    tree: &FileTree,
    environment: &Environment,
    template: &Template<'_>,
    request: ImageRequest<'_>,
) -> Result<Edit, Refusal> {
    let used = |name: &&String| template.text.contains(&format!("${{{name}}}"));
    let names: Vec<&String> = environment.substitute.keys().filter(used).collect();
    let fit = |name: &&String| {
        let others =
            names.iter().filter(|other| *other != name).fold(template.text.to_owned(), |text, other| {
                let value = environment.substitute.get(*other).map(String::as_str).unwrap_or_default();
                text.replace(&format!("${{{other}}}"), value)
            });
        let (before, after) = others.split_once(&format!("${{{name}}}"))?;
        let value = request.image.strip_prefix(before)?.strip_suffix(after)?;
        Some(((*name).clone(), value.to_owned()))
    };
    let fits: Vec<(String, String)> = names.iter().filter_map(fit).collect();
    let [(name, value)] = fits.as_slice() else {
        let refusal = Refusal::new(format!(
            "the image is written as `{}`, which no one name makes `{}`",
            template.text, request.image
        ));
        return Err(refusal.at(template.location).help("edit the file by hand"));
    };
    set_substitute(tree, SubstituteRequest { environment: request.environment, name, value })
}

/// What an edit changes in all environments, and what it was meant to.
struct Changes<'a> {
    before: &'a FileTree,
    scopes: &'a dyn KindScopes,
    environment: &'a str,
    container: &'a Container,
    image: &'a str,
}

type Objects = BTreeMap<(String, ObjectId), Value>;

impl Changes<'_> {
    /// The objects that change and should not.
    fn of(&self, edit: &Edit) -> Result<Vec<String>, Refusal> {
        let (mut expected, after) = (self.objects(self.before), self.objects(&edit.applied(self.before)));
        let own = (self.environment.to_owned(), self.container.object.reference.id());
        if let Some(image) = expected.get_mut(&own).and_then(|own| own.pointer_mut(&self.container.pointer)) {
            *image = Value::from(self.image);
        }
        if expected.keys().ne(after.keys()) || expected.get(&own) != after.get(&own) {
            return Err(not_exact(&edit.location, "more than this image"));
        }
        let others = expected.iter().filter(|(key, value)| after.get(*key) != Some(value));
        Ok(others.map(|((environment, id), _)| format!("{environment}: {id}")).collect())
    }

    fn objects(&self, tree: &FileTree) -> Objects {
        let mut objects = Objects::new();
        for found in discover(tree) {
            let Ok(environment) = &found.environment else { continue };
            for object in load(tree, environment, self.scopes).objects {
                objects.insert((found.name.clone(), object.reference.id()), object.value().clone());
            }
        }
        objects
    }
}
