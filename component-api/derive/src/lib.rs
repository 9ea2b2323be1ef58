//! `derive(Then)`: names the variants of what a session waits for, so that the manifest can list them.

use proc_macro::TokenStream;
use quote::quote;
use syn::punctuated::Punctuated;
use syn::{Attribute, Data, DeriveInput, Error, Fields, Ident, Meta, Token, parse_macro_input};

/// Implements `tandem_component::Then` for an enum.
///
/// The variants' names go into the component's manifest; the host reads there which waits another version knows.
#[proc_macro_derive(Then)]
pub fn derive_then(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    implement(&input).unwrap_or_else(Error::into_compile_error).into()
}

fn implement(input: &DeriveInput) -> syn::Result<proc_macro2::TokenStream> {
    let named = &input.ident;
    let Data::Enum(data) = &input.data else {
        let reason = "has one variant for each thing that a session can wait for; make it an enum";
        return Err(Error::new_spanned(named, format!("`{named}` {reason}, or write `type Then = ();`")));
    };
    if data.variants.is_empty() {
        let reason = "has no variant, so nothing is ever waited for; write `type Then = ();` instead";
        return Err(Error::new_spanned(named, format!("`{named}` {reason}")));
    }
    if !input.generics.params.is_empty() {
        let reason =
            "has parameters, and is data that another version reads: write the types out, and own what it holds";
        return Err(Error::new_spanned(&input.generics, format!("`{named}` {reason}")));
    }
    input.attrs.iter().try_for_each(|attribute| named_as_written(named, attribute, ENUM))?;
    for variant in &data.variants {
        variant.attrs.iter().try_for_each(|attribute| named_as_written(&variant.ident, attribute, VARIANT))?;
    }
    let variants: Vec<_> = data.variants.iter().map(|variant| variant.ident.to_string()).collect();
    let arms = data.variants.iter().map(|variant| {
        let ident = &variant.ident;
        let text = ident.to_string();
        let pattern = match &variant.fields {
            Fields::Named(_) => quote!({ .. }),
            Fields::Unnamed(_) => quote!((..)),
            Fields::Unit => quote!(),
        };
        quote!(Self::#ident #pattern => #text,)
    });
    Ok(quote! {
        impl ::tandem_component::Then for #named {
            const VARIANTS: &'static [&'static str] = &[#(#variants),*];

            fn variant(&self) -> &'static str {
                match self { #(#arms)* }
            }
        }
    })
}

/// The manifest lists variants by their names here, so these have to be the names by which serde writes them.
fn named_as_written(of: &Ident, attribute: &Attribute, otherwise: &[&str]) -> syn::Result<()> {
    if !attribute.path().is_ident("serde") {
        return Ok(());
    }
    let said = attribute.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated)?;
    let changes = |said: &&Meta| otherwise.iter().any(|word| said.path().is_ident(word));
    said.iter().find(changes).map_or(Ok(()), |said| {
        let reason = "has this name in the manifest, and is to have it in states as well; leave this attribute out";
        Err(Error::new_spanned(said, format!("`{of}` {reason}")))
    })
}

/// What has serde write an enum, or a variant, in another way.
const ENUM: &[&str] = &["rename_all", "tag", "content", "untagged", "into", "from", "try_from"];
const VARIANT: &[&str] = &["rename", "untagged", "skip", "skip_serializing", "skip_deserializing", "other"];
