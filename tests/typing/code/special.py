"""An ``output_type`` that is no class, which pyright understands from Python 3.10 on."""

import typing as t

import inngest_wsgi as inngest

client = inngest.Inngest(app_id="shop", serializer=inngest.PydanticSerializer())


class Order: ...


@client.create_function(
    fn_id="special", trigger=inngest.TriggerEvent("a"), output_type=t.Optional[Order]
)
def special(ctx: inngest.Context) -> t.Optional[Order]:
    return None


@client.create_function(
    fn_id="either", trigger=inngest.TriggerEvent("a"), output_type=t.Union[Order, int]
)
def either(ctx: inngest.Context) -> t.Union[Order, int]:
    found = ctx.step.invoke("a", function=special)
    return 3 if found is None else found
