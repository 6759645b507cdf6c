//! The macros by which types of the language are declared.

/// Declares a struct, a choice of words, or a union of structs; see the types of [`crate::manifest`] for each.
///
/// A field with `= value` may be left out; it is left out of the JSON too when it has that value, so that a field added by a later
/// Stead changes no hash. Reading JSON passes over fields it does not know: what users send is checked before, with places.
macro_rules! model {
    // All fields have a default, so the struct has one.
    (
        $(#[doc = $doc:literal])+
        #[section($section:literal)]
        pub struct $name:ident {
            $($(#[doc = $field_doc:literal])+ $field:ident : $type:ty = $default:expr,)*
        }
    ) => {
        $crate::shape::model! { @struct [$($doc)+] $section $name [$([$($field_doc)+] $field ($type) [$default])*] [] }

        impl Default for $name {
            fn default() -> $name {
                $name { $($field: $default),* }
            }
        }
    };
    (
        $(#[doc = $doc:literal])+
        #[section($section:literal)]
        pub struct $name:ident {
            $($(#[doc = $field_doc:literal])+ $field:ident : $type:ty $(= $default:expr)?,)*
            $(..$rest:ident : $rest_type:ty,)?
        }
    ) => {
        $crate::shape::model! {
            @struct [$($doc)+] $section $name [$([$($field_doc)+] $field ($type) [$($default)?])*] [$($rest ($rest_type))?]
        }
    };
    (
        $(#[doc = $doc:literal])+
        #[section($section:literal)]
        pub enum $name:ident {
            $($(#[doc = $word_doc:literal])+ $word:ident = $text:literal,)+
        }
    ) => {
        $(#[doc = $doc])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        pub enum $name {
            $($(#[doc = $word_doc])+ #[serde(rename = $text)] $word,)+
        }

        impl $name {
            /// Returns the word as it is written.
            pub fn word(self) -> &'static str {
                match self { $($name::$word => $text,)+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.word())
            }
        }

        impl $crate::shape::Model for $name {
            const SHAPE: $crate::shape::Shape = $crate::shape::Shape::Choice(&$crate::shape::Choice {
                name: stringify!($name),
                section: $section,
                doc: &[$($doc),+],
                words: &[$($crate::shape::Word {
                    name: $text,
                    doc: &[$($word_doc),+],
                    unbuilt: $crate::shape::is_unbuilt(&[$($word_doc),+]),
                }),+],
            });
        }
    };
    // A union whose fields stand beside the tag.
    (
        $(#[doc = $doc:literal])+
        #[section($section:literal)]
        pub enum $name:ident by $tag:literal $(or $default:literal)? {
            $($(#[doc = $variant_doc:literal])+ $variant:ident($type:ty) = $text:literal,)+
        }
    ) => {
        $(#[doc = $doc])+
        #[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        #[serde(tag = $tag)]
        pub enum $name {
            $($(#[doc = $variant_doc])+ #[serde(rename = $text)] $variant($type),)+
        }

        impl $name {
            /// Returns the value of the tag.
            pub fn name(&self) -> &'static str {
                match self { $($name::$variant(_) => $text,)+ }
            }
        }

        $crate::shape::model! { @union $name [$($doc)+] $tag [$($default)?] [] [] $([$($variant_doc)+] ($type) $text)+ }

        impl $crate::shape::Model for $name {
            const SHAPE: $crate::shape::Shape = $crate::shape::Shape::Struct(&$crate::shape::Struct {
                name: stringify!($name),
                section: $section,
                doc: &[$($doc),+],
                fields: &[],
                union: Some(&<$name as $crate::shape::Tagged>::UNION),
            });
        }
    };
    // A union whose fields stand in a field of their own; part of a struct that says `..name: Union`.
    (
        $(#[doc = $doc:literal])+
        pub enum $name:ident by $tag:literal in $content:literal after $after:literal {
            $($(#[doc = $variant_doc:literal])+ $variant:ident($type:ty) = $text:literal,)+
        }
    ) => {
        $(#[doc = $doc])+
        #[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        #[serde(tag = $tag, content = $content)]
        pub enum $name {
            $($(#[doc = $variant_doc])+ #[serde(rename = $text)] $variant($type),)+
        }

        impl $name {
            /// All values of the tag, in order.
            pub const NAMES: &[&str] = &[$($text),+];

            /// Returns the value of the tag.
            pub fn name(&self) -> &'static str {
                match self { $($name::$variant(_) => $text,)+ }
            }
        }

        $crate::shape::model! {
            @union $name [$($doc)+] $tag [] [$content] [$after] $([$($variant_doc)+] ($type) $text)+
        }
    };

    (@union $name:ident [$($doc:literal)+] $tag:literal [$($default:literal)?] [$($content:literal)?] [$($after:literal)?]
        $([$($variant_doc:literal)+] ($type:ty) $text:literal)+
    ) => {
        impl $crate::shape::Tagged for $name {
            const UNION: $crate::shape::Union = $crate::shape::Union {
                tag: $tag,
                doc: &[$($doc),+],
                default: $crate::shape::model!(@option $($default)?),
                content: $crate::shape::model!(@option $($content)?),
                after: $crate::shape::model!(@option $($after)?),
                variants: &[$($crate::shape::Variant {
                    name: $text,
                    doc: &[$($variant_doc),+],
                    unbuilt: $crate::shape::is_unbuilt(&[$($variant_doc),+]),
                    fields: match <$type as $crate::shape::Model>::SHAPE {
                        $crate::shape::Shape::Struct(fields) => fields,
                        _ => panic!("a variant is a struct"),
                    },
                }),+],
            };
        }
    };
    (@option) => { None };
    (@option $value:expr) => { Some($value) };

    (@struct [$($doc:literal)+] $section:literal $name:ident
        [$([$($field_doc:literal)+] $field:ident ($type:ty) [$($default:expr)?])*] [$($rest:ident ($rest_type:ty))?]
    ) => {
        $(#[doc = $doc])+
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name {
            $($(#[doc = $field_doc])+ pub $field: $type,)*
            $(pub $rest: $rest_type,)?
        }

        impl $crate::shape::Model for $name {
            const SHAPE: $crate::shape::Shape = $crate::shape::Shape::Struct(&$crate::shape::Struct {
                name: stringify!($name),
                section: $section,
                doc: &[$($doc),+],
                fields: &[$($crate::shape::Field {
                    name: stringify!($field),
                    doc: &[$($field_doc),+],
                    unbuilt: $crate::shape::is_unbuilt(&[$($field_doc),+]),
                    shape: &<$type as $crate::shape::Model>::SHAPE,
                    default: $crate::shape::model!(@default ($type) $($default)?),
                }),*],
                union: $crate::shape::model!(@option $(&<$rest_type as $crate::shape::Tagged>::UNION)?),
            });
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                #[allow(unused_imports)]
                use serde::ser::{Error as _, SerializeMap as _};
                #[allow(unused_mut)]
                let mut map = serializer.serialize_map(None)?;
                $($crate::shape::model!(@put map, self.$field, $field ($type) $($default)?);)*
                $(
                    let rest = serde_json::to_value(&self.$rest).map_err(S::Error::custom)?;
                    for (name, value) in rest.as_object().into_iter().flatten() {
                        map.serialize_entry(name, value)?;
                    }
                    $crate::shape::model!(@unit $rest_type);
                )?
                map.end()
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                #[allow(unused_imports)]
                use serde::de::Error as _;
                #[derive(serde::Deserialize)]
                struct Raw {
                    $($field: Option<$type>,)*
                    $(#[serde(flatten)] $rest: $rest_type,)?
                }
                #[allow(unused_variables)]
                let raw = Raw::deserialize(deserializer)?;
                Ok($name {
                    $($field: $crate::shape::model!(@take raw.$field, $field $($default)?),)*
                    $($rest: raw.$rest,)?
                })
            }
        }
    };
    (@unit $type:ty) => {};
    (@default ($type:ty)) => { None };
    (@default ($type:ty) $default:expr) => {
        Some(|| {
            let default: $type = $default;
            serde_json::to_value(default).unwrap_or_default()
        })
    };
    (@put $map:ident, $value:expr, $field:ident ($type:ty)) => { $map.serialize_entry(stringify!($field), &$value)? };
    (@put $map:ident, $value:expr, $field:ident ($type:ty) $default:expr) => {
        let default: $type = $default;
        if $value != default {
            $map.serialize_entry(stringify!($field), &$value)?;
        }
    };
    (@take $value:expr, $field:ident) => { $value.ok_or_else(|| D::Error::missing_field(stringify!($field)))? };
    (@take $value:expr, $field:ident $default:expr) => { $value.unwrap_or_else(|| $default) };
}
pub(crate) use model;

/// Declares a text of a certain form, kept as it was written: its `check` says why another text is none.
macro_rules! scalar {
    (
        $(#[doc = $doc:literal])+
        pub struct $name:ident: $called:literal, expected $expected:expr, pattern $pattern:expr, check $check:expr;
    ) => {
        $(#[doc = $doc])+
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Box<str>);

        $crate::shape::scalar! { @impls $name, $called, $expected, $pattern, $check }

        impl std::str::FromStr for $name {
            type Err = $crate::units::BadValue;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let check: fn(&str) -> bool = $check;
                if check(text) { Ok($name(text.into())) } else { Err($crate::units::BadValue::new(text, $expected)) }
            }
        }

        impl std::ops::Deref for $name {
            type Target = str;

            fn deref(&self) -> &str {
                &self.0
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                &*self.0 == other
            }
        }

        impl PartialEq<&str> for $name {
            fn eq(&self, other: &&str) -> bool {
                &*self.0 == *other
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
    // The shape alone, for a type that is parsed into something else than its text.
    (@impls $name:ident, $called:literal, $expected:expr, $pattern:expr, $check:expr) => {
        $crate::shape::scalar! { @shape $name, $called, $expected, $pattern, None }
    };
    (@shape $name:ident, $called:literal, $expected:expr, $pattern:expr, $unit:expr) => {
        impl $crate::shape::Text for $name {
            const SCALAR: &'static $crate::shape::Scalar = &$crate::shape::Scalar {
                name: $called,
                expected: $expected,
                pattern: $pattern,
                check: |text| text.parse::<$name>().map(drop).map_err(|error| error.to_string()),
                unit: $unit,
            };
        }

        impl $crate::shape::Model for $name {
            const SHAPE: $crate::shape::Shape = $crate::shape::Shape::Scalar(<$name as $crate::shape::Text>::SCALAR);
        }
    };
}
pub(crate) use scalar;
