"""Plugins: found by entry point, blocked by name, checked, and never fatal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from frith import (
    ManagerConfig,
    Options,
    PluginRecord,
    PluginState,
    ProviderSpec,
    Role,
    hookimpl,
)
from frith import installed_plugins as installed
from frith import plugins as plugins_module
from frith._failures import is_interrupt
from frith.errors import (
    ConfigurationError,
    DuplicateProviderError,
    PluginError,
    ProviderNotFoundError,
    UnsupportedPlatformError,
)
from frith.plugins import InvalidPluginError, Plugins, check_plugin, load_plugins

from .managers import BUILT_INS, configuration

Install = Callable[..., None]

STORE = """
from frith import ProviderSpec, Role, hookimpl

@hookimpl
def frith_providers():
    return [ProviderSpec(Role.STORE, "acme", lambda options, context: None)]
"""


@pytest.fixture
def nothing_installed() -> None:
    """Let plugins be found."""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Install a distribution with one plugin, as pip would lay it out."""
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)

    def install(distribution: str, plugin: str, source: str, *, version: str = "1.2") -> None:
        module = distribution.replace("-", "_")
        (tmp_path / f"{module}.py").write_text(source)
        information = tmp_path / f"{module}-{version}.dist-info"
        information.mkdir()
        (information / "METADATA").write_text(f"Name: {distribution}\nVersion: {version}\n")
        (information / "entry_points.txt").write_text(f"[frith.plugins]\n{plugin} = {module}\n")

    yield install
    for name in set(sys.modules) - before:
        del sys.modules[name]


def records(**changes: Any) -> dict[str, PluginRecord]:
    return {
        record.name: record
        for record in installed(configuration(**changes))
        if record.name not in BUILT_INS
    }


@pytest.mark.requirement("R6.1")
def test_a_plugin_is_found_by_its_entry_point(install: Install) -> None:
    install("acme-frith", "acme", STORE)
    assert records() == {
        "acme": PluginRecord("acme", "acme-frith", "1.2", PluginState.LOADED, "", ("store:acme",))
    }


@pytest.mark.requirement("R6.1")
def test_without_any_plugin_the_core_says_what_is_missing() -> None:
    plugins = load_plugins(configuration())
    with pytest.raises(ProviderNotFoundError) as missing:
        plugins.choose(Role.STORE, "json")
    assert missing.value.available == ()
    assert "There is no store provider 'json'" in str(missing.value)
    assert "Install the plugin that offers it" in str(missing.value)


def test_a_blocked_plugin_is_not_even_imported(install: Install) -> None:
    install("acme-frith", "acme", "raise AssertionError('imported')")
    (record,) = records(blocked_plugins=BUILT_INS | {"acme"}).values()
    assert (record.state, record.reason) == (PluginState.BLOCKED, "blocked")
    assert "acme_frith" not in sys.modules


@pytest.mark.requirement("R6.3")
@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import nothing_of_that_name", "ModuleNotFoundError"),
        ("raise RuntimeError('broken')", "RuntimeError('broken')"),
        ("def (", "SyntaxError"),
        ("raise SystemExit(3)", "SystemExit(3)"),
        ("raise GeneratorExit", "GeneratorExit()"),
        ("import asyncio; raise asyncio.CancelledError", "CancelledError()"),
        ("class Skipped(BaseException): pass\nraise Skipped", "Skipped()"),
        ("raise BaseExceptionGroup('all of it', [SystemExit(3), SystemExit(4)])", "all of it"),
        ("class E(Exception):\n def __repr__(self): raise self\nraise E", "import failed: E"),
    ],
)
def test_a_plugin_that_breaks_when_imported_is_listed_with_its_reason(
    source: str, reason: str, install: Install
) -> None:
    install("acme-frith", "acme", source)
    install("fine", "fine", STORE)
    found = records()
    assert found["acme"].state is PluginState.FAILED
    assert "import failed" in found["acme"].reason
    assert reason in found["acme"].reason
    assert found["fine"].state is PluginState.LOADED


@pytest.mark.requirement("R6.3")
def test_a_loaded_plugin_is_found_by_its_name(install: Install) -> None:
    install("frith-acme", "acme", STORE)
    plugins = load_plugins(configuration())
    assert plugins.plugin("acme") is sys.modules["frith_acme"]


def test_a_plugin_that_is_not_loaded_is_refused_with_the_reason(install: Install) -> None:
    install("frith-acme", "acme", "raise RuntimeError('no licence')")
    with pytest.raises(PluginError, match="'acme' is not loaded: .*no licence"):
        load_plugins(configuration()).plugin("acme")


def test_choosing_what_failed_to_load_says_why(install: Install) -> None:
    install("acme-frith", "acme", "raise RuntimeError('broken')")
    plugins = load_plugins(configuration(blocked_plugins=BUILT_INS))
    with pytest.raises(ProviderNotFoundError, match=r"plugin 'acme' is failed: .*broken"):
        plugins.choose(Role.STORE, "acme")


def _plugin(**functions: Any) -> object:
    return SimpleNamespace(**functions)


def _unmarked() -> Any:
    async def frith_session_created(event: Any) -> None: ...

    return frith_session_created


def _misspelled() -> Any:
    @hookimpl
    async def frith_session_craeted(event: Any) -> None: ...

    return frith_session_craeted


def _sync() -> Any:
    @hookimpl
    def frith_session_created(event: Any) -> None: ...

    return frith_session_created


def _async_configure() -> Any:
    @hookimpl
    async def frith_configure(config: Any) -> None: ...

    return frith_configure


def _wrongly_signed() -> Any:
    @hookimpl
    async def frith_session_created(event: Any, session: Any) -> None: ...

    return frith_session_created


def _renamed_argument() -> Any:
    @hookimpl
    async def frith_session_created(happening: Any) -> None: ...

    return frith_session_created


def _hurried() -> Any:
    @hookimpl(tryfirst=True)
    async def frith_session_created(event: Any) -> None: ...

    return frith_session_created


def _late() -> Any:
    @hookimpl(trylast=True)
    async def frith_session_created(event: Any) -> None: ...

    return frith_session_created


def _wrapper() -> Any:
    @hookimpl(wrapper=True)
    def frith_session_created(event: Any) -> Iterator[Any]:
        return (yield)

    return frith_session_created


def _old_wrapper() -> Any:
    @hookimpl(hookwrapper=True)
    def frith_providers() -> Iterator[Any]:
        yield

    return frith_providers


def _object() -> Any:
    class Spy:
        async def __call__(self, event: Any) -> None: ...

    return Spy()


@pytest.mark.parametrize(
    ("name", "implementation", "reason"),
    [
        ("frith_session_created", _unmarked(), "is not marked with @hookimpl"),
        ("frith_session_craeted", _misspelled(), "did you mean 'frith_session_created'?"),
        ("frith_zzz", _misspelled(), "there is no hook 'frith_zzz'"),
        ("frith_session_created", _sync(), "must be async"),
        ("frith_configure", _async_configure(), "must be not async"),
        ("frith_session_created", _wrongly_signed(), "must take (event)"),
        ("frith_session_created", _renamed_argument(), "takes (happening)"),
        ("frith_session_created", _hurried(), "uses tryfirst"),
        ("frith_session_created", _late(), "uses trylast"),
        ("frith_session_created", _wrapper(), "uses wrapper"),
        ("frith_providers", _old_wrapper(), "uses hookwrapper"),
        ("frith_session_created", _object(), "is not marked with @hookimpl"),
    ],
)
def test_an_implementation_that_cannot_work_is_refused_with_the_reason(
    name: str, implementation: Any, reason: str
) -> None:
    with pytest.raises(InvalidPluginError) as refused:
        check_plugin(_plugin(**{name: implementation}))
    assert reason in str(refused.value)


def test_an_implementation_may_leave_out_its_argument() -> None:
    called = []

    @hookimpl
    def frith_configure() -> None:
        called.append(True)

    plugins = Plugins()
    plugins.add("brief", _plugin(frith_configure=frith_configure))
    plugins.configure(configuration())
    assert called == [True]


def test_an_attribute_that_only_looks_like_a_hook_is_ignored() -> None:
    check_plugin(_plugin(frith_version="1", spinner=print, frith=sys))


@pytest.mark.requirement("R6.3")
def test_an_invalid_plugin_is_listed_with_its_reason(install: Install) -> None:
    install("acme-frith", "acme", "def frith_providers(): return []")
    (record,) = records().values()
    assert (record.state, record.providers) == (PluginState.FAILED, ())
    assert record.reason == "frith_providers is not marked with @hookimpl"


@pytest.mark.requirement("R6.3")
@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("return ['json']", "returned 'json', which is not a ProviderSpec"),
        ("return None", "frith_providers failed: TypeError"),
        ("raise RuntimeError('broken')", "frith_providers failed: RuntimeError('broken')"),
        ("raise SystemExit(3)", "frith_providers failed: SystemExit(3)"),
        ("yield 3", "returned 3"),
        ("yield from (); raise SystemExit(4)", "frith_providers failed: SystemExit(4)"),
    ],
)
def test_a_plugin_that_offers_junk_is_listed_and_its_hooks_are_not_called(
    body: str, reason: str, install: Install
) -> None:
    source = "from frith import hookimpl\n@hookimpl\ndef frith_providers():\n    " + body
    source += "\n@hookimpl\nasync def frith_session_created(event): ..."
    install("acme-frith", "acme", source)
    plugins = load_plugins(configuration())
    (record,) = (r for r in plugins.records if r.name not in BUILT_INS)
    assert record.state is PluginState.FAILED
    assert reason in record.reason
    assert plugins.implementations("frith_session_created") == []


@pytest.mark.requirement("R6.2")
def test_two_plugins_of_one_name_are_both_loaded_and_told_apart(install: Install) -> None:
    source = "from frith import hookimpl\n@hookimpl\nasync def frith_session_created(): ..."
    install("one-frith", "acme", source)
    install("two-frith", "acme", source)
    plugins = load_plugins(configuration())
    found = [r for r in plugins.records if r.name == "acme"]
    assert [(r.distribution, r.state) for r in found] == [
        ("one-frith", PluginState.LOADED),
        ("two-frith", PluginState.LOADED),
    ]
    called = [i.plugin for i in plugins.implementations("frith_session_created")]
    assert called == ["acme (one-frith)", "acme (two-frith)"]


@pytest.mark.requirement("R6.2")
def test_two_providers_of_one_name_are_an_error_that_names_both_distributions(
    install: Install,
) -> None:
    install("one-frith", "one", STORE)
    install("two-frith", "two", STORE)
    with pytest.raises(DuplicateProviderError) as doubled:
        load_plugins(configuration()).choose(Role.STORE, "acme")
    assert doubled.value.distributions == ("one-frith (one)", "two-frith (two)")


@pytest.mark.requirement("R6.2")
def test_blocking_one_of_two_providers_leaves_the_other(install: Install) -> None:
    install("one-frith", "one", STORE)
    install("two-frith", "two", STORE)
    plugins = load_plugins(configuration(blocked_plugins=BUILT_INS | {"one"}))
    assert plugins.choose(Role.STORE, "acme").plugin == "two"


@pytest.mark.requirement("R6.2")
def test_a_provider_is_chosen_by_role_and_name(install: Install) -> None:
    install("acme-frith", "acme", STORE)
    plugins = load_plugins(configuration())
    offer = plugins.choose(Role.STORE, "acme")
    assert (offer.plugin, offer.distribution) == ("acme", "acme-frith")
    with pytest.raises(ProviderNotFoundError, match="no terminal provider 'acme'"):
        plugins.choose(Role.TERMINAL, "acme")


class Own:
    """A plugin of the host's own."""

    @hookimpl
    async def frith_session_created(self, event: object) -> None: ...


def test_plugins_are_called_in_the_order_of_their_names_and_the_hosts_own_last(
    install: Install,
) -> None:
    source = "from frith import hookimpl\n@hookimpl\nasync def frith_session_created(): ..."
    install("a-dist", "walnut", source)
    install("b-dist", "hazel", source)
    plugins = load_plugins(configuration(), {"zoo": Own(), "ant": Own()})
    called = [i.plugin for i in plugins.implementations("frith_session_created")]
    assert called == ["hazel", "walnut", "zoo", "ant"]
    assert plugins.records[-1] == PluginRecord("ant", "host", "", PluginState.LOADED)


def test_an_invalid_plugin_of_the_hosts_own_is_an_error() -> None:
    with pytest.raises(PluginError, match="is not marked"):
        load_plugins(configuration(), {"own": _plugin(frith_session_created=_unmarked())})


def test_two_plugins_of_the_host_cannot_have_the_name_of_an_installed_one(
    install: Install,
) -> None:
    install("acme-frith", "acme", STORE)
    with pytest.raises(PluginError, match="acme"):
        load_plugins(configuration(), {"acme": Own()})


def test_the_same_plugin_object_is_not_added_twice() -> None:
    own = Own()
    with pytest.raises(PluginError, match="already registered"):
        load_plugins(configuration(), {"one": own, "two": own})


class Thrifty:
    """A plugin with options of its own, and a provider."""

    class Model(Options):
        size: int = 1

    def __init__(self, failure: BaseException | None = None) -> None:
        self.options: Thrifty.Model | None = None
        self.failure = failure

    @hookimpl
    def frith_providers(self) -> Iterable[ProviderSpec]:
        return [ProviderSpec(Role.STORE, "thrifty", lambda _options, _context: None)]  # type: ignore[arg-type,return-value]

    @hookimpl
    def frith_configure(self, config: ManagerConfig) -> None:
        self.options = config.plugin_options("thrifty", Thrifty.Model)
        if self.failure is not None:
            raise self.failure


def _configured(plugin: Thrifty, options: dict[str, Any]) -> Plugins:
    config = configuration(options=options)
    plugins = load_plugins(config, {"thrifty": plugin})
    plugins.check_sections(config)
    plugins.configure(config)
    return plugins


def test_a_plugin_is_given_its_options() -> None:
    plugin = Thrifty()
    _configured(plugin, {"plugin": {"thrifty": {"size": 5}}, "store": {"thrifty": {}}})
    assert plugin.options == Thrifty.Model(size=5)


@pytest.mark.parametrize(
    ("options", "key", "suggestion"),
    [
        ({"plugin": {"thrifti": {}}}, "options.plugin.thrifti", "thrifty"),
        ({"plugin": {"thrifty": {"siez": 1}}}, "options.plugin.thrifty.siez", "size"),
        ({"stroe": {}}, "options.stroe", "store"),
        ({"store": {"thrify": {}}}, "options.store.thrify", "thrifty"),
        ({"terminal": {"thrifty": {}}}, "options.terminal.thrifty", None),
    ],
)
def test_options_of_an_unknown_plugin_or_provider_are_refused(
    options: dict[str, Any], key: str, suggestion: str | None
) -> None:
    with pytest.raises(ConfigurationError) as refused:
        _configured(Thrifty(), options)
    assert (refused.value.key, refused.value.suggestion) == (key, suggestion)


def test_options_of_a_blocked_plugin_are_not_an_error(install: Install) -> None:
    install("acme-frith", "acme", STORE)
    config = configuration(
        blocked_plugins=BUILT_INS | {"acme"},
        options={"store": {"acme": {"size": 1}}, "plugin": {"acme": {"size": 1}}},
    )
    load_plugins(config).check_sections(config)


@pytest.mark.requirement("R9.1")
def test_what_a_plugin_says_it_cannot_do_is_said_at_once() -> None:
    with pytest.raises(UnsupportedPlatformError, match="plan9"):
        _configured(Thrifty(UnsupportedPlatformError("thrift", "plan9")), {})


@pytest.mark.requirement("R6.3")
@pytest.mark.parametrize("failure", [RuntimeError("broken"), SystemExit(3), GeneratorExit()])
def test_a_plugin_that_breaks_on_its_options_is_listed_and_offers_nothing(
    failure: BaseException,
) -> None:
    plugins = _configured(Thrifty(failure), {})
    (record,) = (r for r in plugins.records if r.name == "thrifty")
    assert (record.state, record.providers) == (PluginState.FAILED, ())
    assert record.reason == f"frith_configure failed: {failure!r}"
    assert plugins.implementations("frith_configure") == []
    with pytest.raises(ProviderNotFoundError, match="frith_configure failed"):
        plugins.choose(Role.STORE, "thrifty")


def test_a_plugin_whose_attributes_cannot_be_had_is_listed_with_its_reason(
    install: Install,
) -> None:
    install(
        "acme-frith",
        "acme",
        "class Plugin:\n"
        "    @property\n"
        "    def frith_session_created(self): raise SystemExit(3)\n"
        "import sys\n"
        "sys.modules[__name__] = Plugin()\n",
    )
    (record,) = records().values()
    assert record.state is PluginState.FAILED
    assert record.reason == "it cannot be inspected: SystemExit(3)"


INTERRUPT = "raise KeyboardInterrupt"
INTERRUPTED = {
    "import": INTERRUPT,
    "providers": f"@hookimpl\ndef frith_providers(): {INTERRUPT}",
    "configure": f"@hookimpl\ndef frith_configure(config): {INTERRUPT}",
    "a group": "raise BaseExceptionGroup('', [SystemExit(3), KeyboardInterrupt()])",
}


@pytest.mark.parametrize("source", INTERRUPTED.values(), ids=INTERRUPTED)
def test_the_user_interrupts_the_host_also_while_plugins_are_loaded(
    source: str, install: Install
) -> None:
    install("acme-frith", "acme", f"from frith import hookimpl\n{source}")
    with pytest.raises(BaseException) as interrupted:  # noqa: PT011 - may be in a group
        load_plugins(configuration()).configure(configuration())
    assert is_interrupt(interrupted.value)


def test_plugins_that_cannot_be_listed_are_an_error_of_frith(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def unreadable(**_: str) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(plugins_module, "entry_points", unreadable)
    with pytest.raises(PluginError, match="cannot be listed: .* Too many open files"):
        load_plugins(configuration())
