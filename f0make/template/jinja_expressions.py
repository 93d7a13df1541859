"""Expressions in Jinja2's language, sandboxed and bounded; imported only where plain substitution is not enough."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from math import isfinite

from jinja2 import nodes
from jinja2.exceptions import SecurityError, TemplateError, TemplateSyntaxError, UndefinedError
from jinja2.parser import Parser
from jinja2.runtime import Context, StrictUndefined, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

from f0make.lazy_re import later
from f0make.template.evaluation_limits import MAX_SOURCE, TooMuch, begin, charge, current, weigh
from f0make.template.filters import check_call, filters, limited_range, methods_of, settle, tests
from f0make.template.operators import OPERATORS, binary, check_format
from f0make.template.template_values import PathList, parts_of
from f0make.template.value_access import EvaluationError, Missing, attribute, item, unknown_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_HINT = "\0"
"""Between message and hint in the one text that Jinja2 lets an undefined value carry."""


class BadExpression(EvaluationError):
    """An expression that cannot be compiled or evaluated."""


class _Unknown(StrictUndefined):
    """An undefined value that says what was probably meant, when it is used."""

    __slots__ = ()

    @property
    def _undefined_message(self) -> str:
        if self._undefined_hint:
            return self._undefined_hint
        missing = unknown_name(str(self._undefined_name), current.names)
        return f"{missing.message}{_HINT}{missing.hint}"


class _Environment(ImmutableSandboxedEnvironment):
    """Attributes, methods, operators, filters and calls by allowlist, each charged."""

    intercepted_binops = OPERATORS

    def __init__(self) -> None:
        super().__init__(undefined=_Unknown, autoescape=False, optimized=False, cache_size=0)
        self.globals = {"range": limited_range, "dict": dict}
        self.filters = filters(self.filters)
        self.tests = tests(self.tests)

    def _missing(self, value: Any, missing: Missing) -> Undefined:
        return self.undefined(f"{missing.message}{_HINT}{missing.hint}", obj=value)

    def getattr(self, obj: Any, attribute_name: str) -> Any:
        """``obj.name``: what `access.attribute` allows, then the methods that are allowed."""
        if isinstance(obj, Undefined):
            return self._again(obj)
        charge(0)
        method = attribute_name in methods_of(obj)
        if not (method and not isinstance(obj, dict)):
            try:
                return attribute(obj, attribute_name)
            except Missing as missing:
                if not method:
                    return self._missing(obj, missing)
        return _Method(obj, attribute_name)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """``obj[key]``: what `access.item` allows."""
        if isinstance(obj, Undefined):
            return self._again(obj)
        if isinstance(argument, Undefined):
            str(argument)
        charge(weigh(argument))
        try:
            return item(obj, argument)
        except Missing as missing:
            return self._missing(obj, missing)

    @staticmethod
    def _again(obj: Undefined) -> Any:
        raise UndefinedError(obj._undefined_message)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Operators with their growth bounded."""
        return binary(operator, settle(left), settle(right))

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        """Only `range`, `dict`, allowed methods and what a scope offers for calling."""
        offered = getattr(type(__obj), "template_call", None)
        if offered is not None:
            return offered(__obj, *args, **kwargs)
        if isinstance(__obj, Undefined):
            str(__obj)
        if isinstance(__obj, _Method) or __obj in (limited_range, dict):
            charge(sum(map(weigh, args)) + sum(map(weigh, kwargs.values())))
            result = settle(__obj(*args, **kwargs))
            charge(weigh(result))
            return result
        raise SecurityError("this is nothing that can be called")


class _Method:
    """A method of a value, charged when it is called."""

    __slots__ = ("name", "subject")

    template_no_text = "this is a method: it needs `()` after it"

    def __init__(self, subject: Any, name: str) -> None:
        self.subject = subject
        self.name = name

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        values = [settle(value) for value in args]
        check_call(self.name, [self.subject, *values], kwargs)
        if self.name == "format":
            check_format(self.subject)
            return _format(self.subject, values, kwargs)
        return parts_of(self.subject, getattr(self.subject, self.name)(*values, **kwargs))


def _format(text: str, values: list[Any], named: dict[str, Any]) -> str:
    from jinja2.sandbox import SandboxedFormatter

    return SandboxedFormatter(_environment()).vformat(text, values, named)


_made: list[_Environment] = []


def _environment() -> _Environment:
    if not _made:
        _made.append(_Environment())
    return _made[0]


class _Charged(NodeTransformer):
    """What Jinja2 writes as plain Python (`a ~ b`, `a[1:2]`, comparisons) as filters, charged like everything else."""

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:
        """One call with all operands."""
        self.generic_visit(node)
        first, *rest = node.nodes
        return _filter("_concat", first, *rest)

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Node:
        """A slice as a call; an index goes through the environment as it is."""
        self.generic_visit(node)
        ends = node.arg
        if not isinstance(ends, nodes.Slice):
            return node
        none = nodes.Const(None)
        return _filter("_slice", node.node, ends.start or none, ends.stop or none, ends.step or none)

    def visit_Compare(self, node: nodes.Compare) -> nodes.Node:
        """Each side weighed; `a in b` as a call."""
        self.generic_visit(node)
        if len(node.ops) == 1 and node.ops[0].op in ("in", "notin"):
            found = _filter("_contains", node.ops[0].expr, node.expr)
            return found if node.ops[0].op == "in" else nodes.Not(found)
        if any(operand.op in ("in", "notin") for operand in node.ops):
            raise TemplateError("`in` cannot be chained with another comparison: use `and`")
        node.expr = _weighed(node.expr)
        for operand in node.ops:
            operand.expr = _weighed(operand.expr)
        return node


def _weighed(node: nodes.Expr) -> nodes.Expr:
    """``node`` as something that is charged: what a filter or a call came to has been already."""
    charged = isinstance(node, (nodes.Const, nodes.Filter, nodes.Call, nodes.Test, nodes.BinExpr))
    return node if charged else _filter("_weighed", node)


def _filter(name: str, value: nodes.Expr, *arguments: nodes.Expr) -> nodes.Filter:
    return nodes.Filter(value, name, list(arguments), [], None, None, lineno=value.lineno)


class Compiled:
    """One expression, ready to be evaluated in any number of scopes."""

    __slots__ = ("_context", "_run", "names", "source")

    def __init__(self, source: str) -> None:
        """Raises BadExpression."""
        self.source = source
        environment = _environment()
        begin(())
        try:
            tree = _parse(environment, source)
            found = list(tree.find_all(nodes.Name)) + ([tree] if isinstance(tree, nodes.Name) else [])
            self.names = frozenset(n.name for n in found if n.ctx == "load") - set(environment.globals)
            template = environment.from_string(_as_template(tree, environment))
        except TemplateSyntaxError as error:
            raise BadExpression(f"not an expression: {error.message or error}") from None
        except (TooMuch, TemplateError) as error:
            message, _, hint = str(error).partition(_HINT)
            raise BadExpression(message, hint) from None
        except (RecursionError, MemoryError, SyntaxError, ValueError, OverflowError):
            raise BadExpression("this expression is too deeply nested or too long") from None
        self._context = template.new_context
        self._run: Callable[[Context], Iterator[str]] = template.root_render_func

    def __call__(self, scope: Mapping[str, Any]) -> Any:
        """The value in ``scope``.

        Raises Missing for what is not there, BadExpression for what cannot be evaluated or takes too much;
        exceptions of objects in the scope pass through.
        """
        begin(scope)
        try:
            context = self._context(dict(scope))
            for _ in self._run(context):
                pass
            value = settle(context.vars["result"])
            charge(weigh(value))
            _check_result(value)
        except UndefinedError as error:
            message, _, hint = str(error).partition(_HINT)
            raise Missing(f"{message} in `{self.source.strip()}`", hint) from None
        except Missing as missing:
            raise Missing(f"{missing.message} in `{self.source.strip()}`", missing.hint) from None
        except (TooMuch, RecursionError, MemoryError) as error:
            raise BadExpression(_said(error), "an evaluation is limited in time and memory") from None
        except (*_OF_VALUES, AssertionError, RuntimeError) as error:
            raise BadExpression(_said(error)) from None
        return value


def _said(error: BaseException) -> str:
    if isinstance(error, ZeroDivisionError):
        return "division by zero"
    if isinstance(error, OverflowError):
        return "this number is too large"
    if isinstance(error, (RecursionError, MemoryError)):
        return "this takes too much memory or work"
    return str(error) or type(error).__name__


_OF_VALUES = (TemplateError, ArithmeticError, TypeError, ValueError, LookupError, AttributeError)
"""What values raise that do not fit an operation; Jinja's filters assert some of theirs."""
_SURROGATE = later("[\ud800-\udc7f\udd00-\udfff]")
"""Surrogates but those that stand for bytes of file names."""


def _check_result(value: Any) -> None:
    """Use every undefined value in a result, so that it says what is missing, and look at every text.

    Raises UndefinedError, ValueError.
    """
    if isinstance(value, Undefined):
        str(value)
    elif isinstance(value, PathList):
        return
    elif isinstance(value, str):
        if not value.isascii() and (found := _SURROGATE.search(value)):
            raise ValueError(
                f"U+{ord(found[0]):04X} is half a character, which no file and no command can hold"
            )
    elif isinstance(value, (list, tuple)):
        for one in value:
            _check_result(one)
    elif isinstance(value, dict):
        for one in value.values():
            _check_result(one)


def _parse(environment: _Environment, source: str) -> nodes.Expr:
    if len(source) > MAX_SOURCE:
        raise TooMuch(f"an expression may have {MAX_SOURCE:,} characters at most")
    parser = Parser(environment, source, state="variable")
    tree = parser.parse_expression()
    if not parser.stream.eos:
        parser.fail(f"`{parser.stream.current.value}` was not expected here")
    _check_filters(environment, tree)
    for constant in [tree, *tree.find_all(nodes.Const)]:
        if (
            isinstance(constant, nodes.Const)
            and isinstance(constant.value, float)
            and not isfinite(constant.value)
        ):
            raise TemplateError("a number in it is too large")
    wrapper = nodes.Tuple([tree], "load", lineno=1)
    _Charged().visit(wrapper)
    result = wrapper.items[0]
    result.set_environment(environment)
    return result


def _check_filters(environment: _Environment, tree: nodes.Expr) -> None:
    from f0make.template.value_access import suggestion

    for kind, known in ((nodes.Filter, environment.filters), (nodes.Test, environment.tests)):
        for node in [tree, *tree.find_all(kind)]:
            if isinstance(node, kind) and node.name not in known:
                hint = suggestion(node.name, [name for name in known if name[0].isalpha()])
                raise TemplateError(f"no {kind.__name__.lower()} is called `{node.name}`{_HINT}{hint}")


def _as_template(tree: nodes.Expr, environment: _Environment) -> nodes.Template:
    body: list[nodes.Node] = [nodes.Assign(nodes.Name("result", "store"), tree, lineno=1)]
    template = nodes.Template(body, lineno=1)
    template.set_environment(environment)
    return template
