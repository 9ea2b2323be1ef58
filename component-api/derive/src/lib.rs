//! `derive(Then)`: names the variants of what a session waits for, so that the manifest can list them.

use proc_macro::TokenStream;
use quote::quote;
use syn::{Data, DeriveInput, Error, Fields, parse_macro_input};

/// Implements `tandem_component::Then` for an enum.
///
/// The variants' names go into the component's manifest; the host reads there which waits another version knows.
#[proc_macro_derive(Then)]
pub fn derive_then(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    implement(&input).unwrap_or_else(Error::into_compile_error).into()
}

fn implement(input: &DeriveInput) -> syn::Result<proc_macro2::TokenStream> {
    let Data::Enum(data) = &input.data else {
        return Err(Error::new_spanned(
            &input.ident,
            "Then is an enum: one variant for each thing that the session can wait for",
        ));
    };
    if !input.generics.params.is_empty() {
        return Err(Error::new_spanned(
            &input.generics,
            "Then has no type parameters: it is data that another version reads",
        ));
    }
    let name = &input.ident;
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
        impl ::tandem_component::Then for #name {
            const VARIANTS: &'static [&'static str] = &[#(#variants),*];

            fn variant(&self) -> &'static str {
                match self { #(#arms)* }
            }
        }
    })
}
