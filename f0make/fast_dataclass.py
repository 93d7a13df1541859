"""What f0make's own data needs of `dataclasses` and `typing`.

Importing the standard ones takes about as long as Python's start (`inspect` and what that needs), and each class
made with them half a millisecond: a run in which one file has changed would spend most of its time on that.
Here a constructor is made when it is first called. Type checkers see the standard module.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
    from dataclasses import field as field
    from dataclasses import fields as fields
    from dataclasses import replace as replace
    from typing import Protocol as Protocol
else:

    class Protocol:
        """The base of classes that say what an object must offer; only type checkers ask."""

    _MISSING = object()

    class Field:
        """What is known of one field."""

        __slots__ = ("default", "default_factory", "name")
        init = True

        def __init__(self, default=_MISSING, default_factory=_MISSING):
            self.name = ""
            self.default = default
            self.default_factory = default_factory

        @property
        def _field_type(self):
            """For the standard module's functions, which tell real fields by this."""
            import dataclasses

            return dataclasses._FIELD

    def field(*, default=_MISSING, default_factory=_MISSING):
        """A field whose default is made anew for each object."""
        return Field(default, default_factory)

    def fields(cls):
        """The fields of ``cls`` (or of an object), in their order; each has a ``name``."""
        return tuple(cls.__dataclass_fields__.values())

    def replace(old, /, **changes):
        """A copy of ``old`` with some fields changed. Raises TypeError for a field that it has not."""
        for name in old.__dataclass_fields__:
            if name not in changes:
                changes[name] = getattr(old, name)
        return type(old)(**changes)

    def dataclass(cls=None, /, *, slots=False, frozen=False, eq=True):
        """Give a class a constructor, a `repr`, and (unless not ``eq``) `==` by its annotated fields."""
        if cls is not None:
            return _made(cls, slots, frozen, eq)
        return lambda cls: _made(cls, slots, frozen, eq)

    def _made(cls, slots, frozen, eq):
        found = {}
        space = dict(cls.__dict__)
        for name in space.get("__annotations__", ()):
            given = space.get(name, _MISSING)
            known = given if isinstance(given, Field) else Field(given)
            known.name = name
            found[name] = known
            if slots or isinstance(given, Field):
                space.pop(name, None)
        space.setdefault("__init__", _init(found, frozen))
        space.setdefault("__repr__", _repr)
        if eq:
            space.setdefault("__eq__", _eq)
            space["__hash__"] = _hash if frozen else None
        space["__dataclass_fields__"] = found
        space["__match_args__"] = tuple(found)
        if frozen:
            space.update(__setattr__=_refuse, __delattr__=_refuse, __reduce__=_reduce)
        if not slots:
            for name, value in space.items():
                if name not in ("__dict__", "__weakref__"):
                    setattr(cls, name, value)
            for name in found:
                if isinstance(cls.__dict__.get(name), Field):
                    delattr(cls, name)
            return cls
        space["__slots__"] = tuple(found)
        space.pop("__dict__", None)
        space.pop("__weakref__", None)
        return type(cls)(cls.__name__, cls.__bases__, space)

    def _init(found, frozen):
        def __init__(self, *args, **kwargs):
            made = _compile(found, frozen)
            owner = next(c for c in type(self).__mro__ if c.__dict__.get("__init__") is __init__)
            made.__qualname__ = f"{owner.__name__}.__init__"
            owner.__init__ = made
            made(self, *args, **kwargs)

        return __init__

    def _compile(found, frozen):
        """The constructor, as text first: nothing else is as fast to call."""
        space = {"_missing": _MISSING, "_set": object.__setattr__}
        names, body = [], []
        for name, known in found.items():
            value = name
            if known.default_factory is not _MISSING:
                space[f"_make_{name}"] = known.default_factory
                names.append(f"{name}=_missing")
                value = f"_make_{name}() if {name} is _missing else {name}"
            elif known.default is not _MISSING:
                space[f"_default_{name}"] = known.default
                names.append(f"{name}=_default_{name}")
            else:
                names.append(name)
            body.append(f"  _set(self, {name!r}, {value})" if frozen else f"  self.{name} = {value}")
        text = f"def __init__(self, {', '.join(names)}):\n" + "\n".join(body or ["  pass"])
        exec(text, space)
        return space["__init__"]

    def _values(self):
        return tuple(getattr(self, name) for name in self.__dataclass_fields__)

    def _repr(self):
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__dataclass_fields__)
        return f"{type(self).__qualname__}({shown})"

    def _eq(self, other):
        return _values(self) == _values(other) if other.__class__ is self.__class__ else NotImplemented

    def _hash(self):
        return hash(_values(self))

    def _refuse(self, name, *_):
        raise AttributeError(f"{name!r} of a {type(self).__name__} cannot be changed")

    def _reduce(self):
        return type(self), _values(self)
