"""Who may log in to the embedded PostgreSQL: only some users of the machine, by peer authentication.

The kernel tells PostgreSQL which user connects. Root, the user that runs this process, and the owner of the database
may log in. The user `nobody` may not, even if it runs the database for root: other programs run as that user too.
"""

import os
import pwd
from pathlib import Path
from tempfile import NamedTemporaryFile

from app.store.postgres.programs import Programs, name_of
from app.store.postgres.roles import OWNER, SERVER

HBA = "pg_hba.conf"
IDENT = "pg_ident.conf"

MAP = "synap"

RULES = f"""# Written at each start of the embedded database.
local all all peer map={MAP}
"""


def write_admission(programs: Programs) -> None:
    """Write the files that say who may log in to the database of `programs`. Raises OSError."""
    for name, text in ((HBA, RULES), (IDENT, _users(programs))):
        with NamedTemporaryFile("w", encoding="utf-8", dir=programs.directory, delete=False) as file:  # mode 0600
            file.write(text)
            programs.make_ours(file.fileno())
        Path(file.name).replace(programs.directory / name)


def admits_peers_only(directory: Path) -> bool:
    """Whether the database in a directory has the login rules that we write. Raises OSError."""
    return (directory / HBA).read_text(encoding="utf-8") == RULES


def _users(programs: Programs) -> str:
    """The text of the file that maps users of the machine to roles."""
    uids = {0, os.geteuid()}
    if programs.user is not None and programs.user.uid != pwd.getpwnam("nobody").pw_uid:
        uids.add(programs.user.uid)
    names = [name.replace('"', '""') for uid in sorted(uids) if (name := name_of(uid))]
    lines = [f'{MAP} "{name}" {role}\n' for name in names for role in (OWNER, SERVER)]
    return "".join(["# Written at each start of the embedded database.\n", *lines])
