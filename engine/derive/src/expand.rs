//! From the tokens of a type to the tokens of its `impl Element`.

use proc_macro2::TokenStream as Tokens;
use quote::quote;
use syn::{Data, DeriveInput, Field, LitStr, Path, parse_quote};

/// The `impl Element` of a type.
pub(crate) fn expand(mut input: DeriveInput) -> syn::Result<Tokens> {
    let home = home_of(&input)?;
    let fields = fields_of(&input)?;
    let claims = fields.iter().map(|field| {
        let kind = &field.ty;
        quote!(#home::coder::derived::Field::<#kind>::new().is_deterministic())
    });
    let sizes = size_arms(&input, &home);
    for parameter in input.generics.type_params_mut() {
        parameter.bounds.push(parse_quote!(#home::element::Element));
        parameter.bounds.push(parse_quote!(#home::coder::derived::Serialize));
        parameter.bounds.push(parse_quote!(#home::coder::derived::DeserializeOwned));
    }
    let name = &input.ident;
    let text = name.to_string();
    let (head, arguments, bounds) = input.generics.split_for_impl();
    Ok(quote! {
        impl #head #home::element::Element for #name #arguments #bounds {
            type Coder = #home::coder::CborCoder<Self>;

            fn coder() -> Self::Coder {
                #[allow(unused_imports, reason = "used where a field is no element")]
                use #home::coder::derived::OtherField as _;
                #home::coder::CborCoder::new(#text, true #(&& #claims)*)
            }

            fn heap_bytes(&self) -> usize {
                #[allow(unused_imports, reason = "used where a field is no element")]
                use #home::coder::derived::OtherField as _;
                #sizes
            }
        }
    })
}

fn home_of(input: &DeriveInput) -> syn::Result<Path> {
    let mut home: Path = parse_quote!(::levain::dataflow);
    for attribute in input.attrs.iter().filter(|attribute| attribute.path().is_ident("element")) {
        attribute.parse_nested_meta(|meta| {
            if !meta.path.is_ident("crate") {
                return Err(meta.error("expected `crate = \"path\"`"));
            }
            home = meta.value()?.parse::<LitStr>()?.parse()?;
            Ok(())
        })?;
    }
    Ok(home)
}

fn fields_of(input: &DeriveInput) -> syn::Result<Vec<Field>> {
    match &input.data {
        Data::Struct(data) => Ok(data.fields.iter().cloned().collect()),
        Data::Enum(data) => Ok(data.variants.iter().flat_map(|v| &v.fields).cloned().collect()),
        Data::Union(_) => Err(syn::Error::new_spanned(input, "a union cannot be an element")),
    }
}

/// The sum of the heap bytes of all fields; for enums, of the variant that is there.
fn size_arms(input: &DeriveInput, home: &Path) -> Tokens {
    let sum = |fields: &syn::Fields, path: Tokens| {
        let names: Vec<_> = (0..fields.len()).map(|i| quote::format_ident!("field_{i}")).collect();
        let pattern = fields.iter().zip(&names).map(|(field, name)| match &field.ident {
            Some(ident) => quote!(#ident: #name),
            None => quote!(#name),
        });
        let pattern = match fields {
            syn::Fields::Named(_) => quote!(#path { #(#pattern),* }),
            syn::Fields::Unnamed(_) => quote!(#path( #(#pattern),* )),
            syn::Fields::Unit => quote!(#path),
        };
        let sizes = fields.iter().zip(&names).map(|(field, name)| {
            let kind = &field.ty;
            quote!(#home::coder::derived::Field::<#kind>::new().heap_bytes(#name))
        });
        quote!(#pattern => 0usize #(+ #sizes)*)
    };
    match &input.data {
        Data::Struct(data) => {
            let arm = sum(&data.fields, quote!(Self));
            quote!(match self { #arm })
        }
        Data::Enum(data) if data.variants.is_empty() => quote!(0),
        Data::Enum(data) => {
            let arms = data.variants.iter().map(|variant| {
                let name = &variant.ident;
                sum(&variant.fields, quote!(Self::#name))
            });
            quote!(match self { #(#arms),* })
        }
        Data::Union(_) => quote!(0),
    }
}
