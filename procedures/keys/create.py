"""keys.create."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from app.ledger.author import NO_AUTHOR, is_author
from app.ledger.chain import instant
from app.store.install.key_authors import Binding
from app.store.install.keys import created, new_key_id
from procedures.context import Context
from procedures.grants import current_caller, escapes, lacking_for, outlives, remedy_for
from procedures.procedure import mutation
from schemas.errors import Forbidden, InvalidInput, Issue, Unauthorized
from schemas.jsontext import MAX_ISSUES
from schemas.keys import CreateKey, IssuedKey
from schemas.principal import EVERY, Principal, Scope


@mutation("keys.create", scope=Scope.KEYS_MANAGE, errors=(Forbidden, Unauthorized))
async def create(wanted: CreateKey, context: Context) -> IssuedKey:
    """Create a key. Only this answer contains its token: the server stores the token's hash.

    Forbidden if the new key would have a scope or a workspace that the caller's key lacks, or would expire later.
    Without `expiresInSeconds` it expires when the caller's key does. For another `userId` the caller needs
    `events:write-as` if the new key writes events, `events:read` if it has `events:read-own`, and `intents:decide-own`
    if it has `intents:decide` or `*`. If the caller may read only its own user's events, a key that shows or erases
    events (webhooks, the ledger, the audit, erasure) must have `events:read-own` too. If the caller's key has `authors`
    or `authorRequired`, the new key has them too, or fewer authors. InvalidInput if a workspace does not exist.
    """
    now = datetime.now(UTC)
    caller = await current_caller(context)
    user_id = wanted.user_id or caller.user_id
    workspaces = wanted.workspaces or [context.workspace]
    until = caller.expires_at
    if wanted.expires_in_seconds is not None:
        until = now + timedelta(seconds=wanted.expires_in_seconds)
    issues = [
        *_repeated("scopes", wanted.scopes),
        *_repeated("workspaces", workspaces),
        *await _unknown(workspaces, caller, context),
        *_unsigning(wanted.authors or ()),
    ]
    if issues:
        raise InvalidInput(issues[:MAX_ISSUES])
    binding = Binding(
        authors=list(wanted.authors or caller.authors),
        author_required=(
            caller.author_required or wanted.authors is not None
            if wanted.author_required is None
            else wanted.author_required
        ),
    )
    refusals = [*_refusals(caller, user_id, wanted.scopes, workspaces, until), *_unbound(caller, binding)]
    if refusals:
        told = "; ".join(f"{refusal.path}: {refusal.message}" for refusal in refusals)
        raise Forbidden(f"A key grants at most what it has. {told}", field=refusals[0].path)
    key_id = new_key_id()
    key, token = await context.services.keys.create(
        key_id,
        user_id=user_id,
        scopes=wanted.scopes,
        workspaces=workspaces,
        now=now,
        until=until,
        binding=binding,
        act=context.act("key.created", created(key_id, wanted.scopes, workspaces, until, binding), workspaces),
    )
    return IssuedKey.of(key.shown(), token)


def _repeated(path: str, names: Sequence[str]) -> list[Issue]:
    return [
        Issue(f"{path}.{place}", "appears twice; send it once")
        for place, name in enumerate(names)
        if name in names[:place]
    ]


async def _unknown(workspaces: Sequence[str], caller: Principal, context: Context) -> list[Issue]:
    """The workspaces that do not exist. Only a key for every workspace may learn that; others get Forbidden."""
    if EVERY not in caller.workspaces:
        return []
    known = await context.services.keys.known_workspaces(workspaces)
    return [
        Issue(f"workspaces.{place}", "there is no such workspace; `synap workspaces create` makes one")
        for place, workspace in enumerate(workspaces)
        if workspace not in known | {EVERY}
    ]


def _unsigning(authors: Sequence[str]) -> Iterator[Issue]:
    """The dids by which nobody can sign, or that appear twice."""
    yield from _repeated("authors", authors)
    for place, did in enumerate(authors):
        if not is_author(did):
            yield Issue(f"authors.{place}", NO_AUTHOR)


def _unbound(caller: Principal, binding: Binding) -> Iterator[Issue]:
    """What the new key could log and the caller cannot, because its key is bound to authors."""
    if not caller.grants_authors(binding.authors, author_required=True):
        yield Issue("authors", "the caller's key does not have all of them; omit authors, or name fewer")
    if caller.author_required and not binding.author_required:
        yield Issue("authorRequired", "an author must sign each event of the caller's key; omit it")


def _refusals(
    caller: Principal, user_id: str, scopes: Sequence[Scope], workspaces: Sequence[str], until: datetime | None
) -> Iterator[Issue]:
    """Every place that asks for more than `caller` has."""
    for needed in lacking_for(caller, user_id, scopes):
        remedy = remedy_for(caller, [needed])
        yield Issue("userId", f"another user's key with these scopes needs a caller with {needed}; {remedy}")
    for place, scope in enumerate(scopes):
        if not caller.grants(scope):
            yield Issue(f"scopes.{place}", f"the caller lacks {scope}; omit it, or call with a key that has it")
    if escapes(caller, scopes):
        yield Issue("scopes", "the caller sees only its own user's events, and so must the key; add events:read-own")
    for place, workspace in enumerate(workspaces):
        if not caller.reaches(workspace):
            yield Issue(f"workspaces.{place}", "the caller's key does not have it; name one of the key's workspaces")
    if caller.expires_at is not None and outlives(caller, until):
        end = instant(caller.expires_at)
        yield Issue("expiresInSeconds", f"the caller's key ends sooner, at {end}; omit it to end at the same time")
