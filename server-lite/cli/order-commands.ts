import { type Command, InvalidArgumentError } from 'commander';
import { type OrderView, orderListShape, orderViewShape } from '../operator/shapes.ts';
import { ageText, times } from '../rules/words.ts';
import { cliOrderTexts, cliTexts } from '../texts.ts';
import { defaultOf } from './default-command.ts';
import type { Desk } from './desk.ts';
import { list, table, wrapped } from './table.ts';

/** Characters of an order's id that are shown. */
const idShown = 8;

type Args = Readonly<Record<string, string>>;

function collectArg(text: string, before: Args): Args {
  const [, name, value] = /^([^=]+)=(.*)$/s.exec(text) ?? [];
  if (name === undefined || value === undefined) throw new InvalidArgumentError(cliOrderTexts.notNameValue);
  return { ...before, [name]: value };
}

export function addOrderCommands(program: Command, desk: Desk): void {
  const orders = program.command('orders').description(cliOrderTexts.orders);
  defaultOf(orders, 'list')
    .description(cliOrderTexts.list)
    .option('--appliance <appliance>', cliOrderTexts.listAppliance)
    .action(async ({ appliance }: { appliance?: string }) => {
      const query = appliance === undefined ? '' : `?appliance=${encodeURIComponent(appliance)}`;
      const answer = await desk.api().get(`/api/orders${query}`, orderListShape);
      desk.show(answer.orders, ordersText);
    });
  orders
    .command('send')
    .description(cliOrderTexts.send)
    .argument('<appliance>', cliTexts.applianceArgument)
    .argument('<kind>', cliOrderTexts.sendKind)
    .option('--arg <name=value>', cliOrderTexts.sendArg, collectArg, {})
    .action(async (appliance: string, kind: string, { arg }: { arg: Args }) => {
      const order = await desk.api().post('/api/orders', { appliance, kind, args: arg }, orderViewShape);
      desk.show(order, () => cliOrderTexts.queued(order.id, order.kind, order.name));
    });
  orders
    .command('cancel')
    .description(cliOrderTexts.cancel)
    .argument('<id>', cliOrderTexts.orderId)
    .action(async (id: string) => {
      const order = await desk.api().post(`/api/orders/${encodeURIComponent(id)}/cancel`, {}, orderViewShape);
      desk.show(order, () => wrapped(cliOrderTexts.cancelled(order.id, order.kind, order.name, order.sentence)));
    });
  orders
    .command('show')
    .description(cliOrderTexts.show)
    .argument('<id>', cliOrderTexts.orderId)
    .action(async (id: string) => {
      const order = await desk.api().get(`/api/orders/${encodeURIComponent(id)}`, orderViewShape);
      desk.show(order, orderText);
    });
}

function ordersText(orders: readonly OrderView[]): string {
  if (orders.length === 0) return cliOrderTexts.noOrder;
  const rows = orders.map((one) => [
    one.id.slice(0, idShown),
    one.name,
    one.kind,
    cliTexts.ago(ageText(one.ageS * 1000)),
    one.sentence,
  ]);
  return table(cliOrderTexts.columns, rows);
}

function orderText(order: OrderView): string {
  const args = Object.entries(order.args).map(([name, value]) => `${name}=${value}`);
  const { labels } = cliOrderTexts;
  return list([
    [labels.order, order.id],
    [labels.appliance, `${order.name} (${order.appliance})`],
    [labels.kind, [order.kind, ...args].join(' ')],
    [labels.status, order.sentence],
    [labels.age, cliOrderTexts.ageAndSent(ageText(order.ageS * 1000), times(order.deliveries))],
    [labels.expires, new Date(order.expiresAtMs).toISOString()],
    [labels.crash, order.crashText || cliTexts.none],
    [labels.result, order.result ?? cliTexts.none],
  ]);
}
