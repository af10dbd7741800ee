"""The TypeScript contract as a file that tells its version, so that the owner of a copy can see that it is old."""

from hashlib import sha256

from msgspec import Struct

_CONSTANT = """
/** The version of this contract. The server has another one if its answers have another `x-synap-contract`. */
export const CONTRACT = "{tag}";
"""


class Contract(Struct, frozen=True):
    """A contract with its version."""

    tag: str
    """The version of the server, and a hash of the text: `0.1.0+5f1d2c3b4a596877`."""
    module: str
    """The text of `contract.ts`. Compilers check it, and a program can import its version as `CONTRACT`."""
    declarations: str
    """The text of `contract.d.ts`, which compilers do not check if `skipLibCheck` is set."""

    def like(self, copy: str) -> str:
        """The file that a copy, which may be old, was made of."""
        return self.module if "export const CONTRACT" in copy else self.declarations


def versioned(text: str, version: str) -> Contract:
    """The files of a contract, which the server of this version wrote as `text`."""
    tag = f"{version}+{sha256(text.encode()).hexdigest()[:16]}"
    declarations = f"// Contract {tag}\n{text}"
    return Contract(tag=tag, module=declarations + _CONSTANT.format(tag=tag), declarations=declarations)
