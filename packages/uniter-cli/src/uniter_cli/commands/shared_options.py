"""Options that several commands share: written once, as the parameters of the function that makes a value of them."""

import inspect
from collections.abc import Callable
from typing import Any

__all__ = ["sharing"]


def sharing(make: Callable[..., Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the options of `make`, and in their place, as its parameter `options`, what `make` makes of them.

    Args:
        make: its parameters are keyword-only and annotated as typer wants them.

    >>> def make(*, loud: bool = False) -> str:
    ...     return "HELLO" if loud else "hello"
    >>> def greet(name: str, options: str) -> None:
    ...     print(options, name)
    >>> command = sharing(make)(greet)
    >>> str(inspect.signature(command)), command(name="Ada", loud=True)
    HELLO Ada
    ('(*, name: str, loud: bool = False) -> None', None)
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        shared = inspect.signature(make).parameters
        own = [p for name, p in inspect.signature(command).parameters.items() if name != "options"]
        parameters = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in [*own, *shared.values()]]

        def run(**values: Any) -> None:
            options = make(**{name: values.pop(name) for name in shared})
            command(**values, options=options)

        run.__name__, run.__doc__ = command.__name__, command.__doc__
        # typer reads both
        run.__signature__ = inspect.Signature(parameters, return_annotation=None)  # type: ignore[attr-defined]
        run.__annotations__ = {p.name: p.annotation for p in parameters}
        return run

    return decorate
