"""The identity of the witness that keeps its state in a database: a name and a key, which never change."""

import psycopg
from msgspec import Struct

GET_WITNESS = "SELECT name, kid FROM witness"
"""The name and the kid of the witness."""

INSERT_WITNESS = "INSERT INTO witness (id, name, kid) VALUES (1, %s, %s) ON CONFLICT DO NOTHING"
"""Creates the only row of the witness."""

IS_KEY_OF_INSTALL = """
SELECT EXISTS (SELECT FROM install WHERE kid = %(kid)s)
    OR EXISTS (SELECT FROM key_rotation WHERE %(kid)s IN (kid_old, kid_new))
"""
"""Whether the install of this database has or had this key."""


class OwnWitness(Struct, frozen=True):
    """The witness of a database."""

    name: str
    kid: str


class WitnessError(Exception):
    """The witness cannot be used as it is. The message is one sentence for the operator."""


def find_witness(connection: psycopg.Connection) -> OwnWitness | None:
    """The witness that keeps its state here, or None."""
    row = connection.execute(GET_WITNESS).fetchone()
    return None if row is None else OwnWitness(*row)


def make_witness(connection: psycopg.Connection, witness: OwnWitness) -> None:
    """Let a witness keep its state here. Raises WitnessError if another one does, or if its key is the install's."""
    if connection.execute(IS_KEY_OF_INSTALL, {"kid": witness.kid}).fetchone() == (True,):
        raise WitnessError("The key is the signing key of this install; a witness needs a key of its own.")
    connection.execute(INSERT_WITNESS, (witness.name, witness.kid))
    known = require_witness(connection, witness.kid)
    if known.name != witness.name:
        raise WitnessError(f"This database belongs to the witness {known.name}; a witness never changes its name.")


def require_witness(connection: psycopg.Connection, kid: str) -> OwnWitness:
    """The witness that keeps its state here. Raises WitnessError if there is none, or if this is not its key."""
    known = find_witness(connection)
    if known is None:
        raise WitnessError("The database has no state of a witness; run: synap witness init NAME.")
    if known.kid != kid:
        raise WitnessError(f"The key of the witness {known.name} is {known.kid}, not {kid}; restore its key file.")
    return known
