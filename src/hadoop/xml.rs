//! Hadoop's configuration files: `<configuration><property><name>..</name><value>..</value></property>...`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use roxmltree::{Document, Node};

/// Why a file gives no properties.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConfFileError {
    #[error("cannot read {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{} is no XML", path.display())]
    Xml {
        path: PathBuf,
        source: roxmltree::Error,
    },
    #[error("{} is no configuration: its root is <{root}>, not <configuration>", path.display())]
    Root { path: PathBuf, root: String },
}

/// The properties of a file, in order. One without a name or a value is passed over, as by Hadoop.
///
/// # Errors
/// See [`ConfFileError`].
pub(super) fn read(path: &Path) -> Result<Vec<(String, String)>, ConfFileError> {
    let text = fs::read_to_string(path).map_err(|source| ConfFileError::Read {
        path: path.to_owned(),
        source,
    })?;
    properties(&text, path)
}

fn properties(text: &str, path: &Path) -> Result<Vec<(String, String)>, ConfFileError> {
    let document = Document::parse(text).map_err(|source| ConfFileError::Xml {
        path: path.to_owned(),
        source,
    })?;
    let root = document.root_element();
    if !root.has_tag_name("configuration") {
        return Err(ConfFileError::Root {
            path: path.to_owned(),
            root: root.tag_name().name().to_owned(),
        });
    }
    let properties = root
        .descendants()
        .filter(|node| node.has_tag_name("property"));
    let pairs = properties.filter_map(|property| {
        let name = member(property, "name")?.trim().to_owned();
        Some((name, member(property, "value")?))
    });
    Ok(pairs.filter(|(name, _)| !name.is_empty()).collect())
}

/// An element of it, or an attribute: both are in use.
fn member(property: Node<'_, '_>, name: &str) -> Option<String> {
    let element = property.children().find(|node| node.has_tag_name(name));
    match element {
        Some(element) => Some(
            (element.descendants().filter(Node::is_text))
                .filter_map(|text| text.text())
                .collect(),
        ),
        None => property.attribute(name).map(str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_are_read_in_order() {
        let text = r#"<?xml version="1.0"?>
            <!-- said -->
            <configuration>
              <property><name> a </name><value>1 &amp; 2</value><final>true</final></property>
              <property name="b" value="x"/>
              <property><name>none</name></property>
              <property><name>empty</name><value></value></property>
              <property><name>c</name><value><![CDATA[<d>]]></value></property>
            </configuration>"#;
        let read = properties(text, Path::new("c.xml")).unwrap();
        let read: Vec<_> = read.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        assert_eq!(
            read,
            [("a", "1 & 2"), ("b", "x"), ("empty", ""), ("c", "<d>")]
        );
    }

    #[test]
    fn other_files_are_refused() {
        let check = |text: &str, want: &str| {
            let error = properties(text, Path::new("c.xml")).unwrap_err();
            assert!(error.to_string().contains(want), "{error}");
        };
        check("<project/>", "its root is <project>");
        check("a=1", "no XML");
    }
}
