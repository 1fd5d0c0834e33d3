"""The networks of bench/model_*.c in PyTorch: each function returns a training step that returns the loss.

`scale` shrinks the batch and every width by as much, so that a step is all dispatch and no arithmetic.
"""

import torch
import torch.nn.functional as F
from torch import nn


def uniform(*shape):
    return torch.rand(*shape) * 2 - 1


def adamw(parameters, **options):
    return torch.optim.AdamW(parameters, lr=1e-3, weight_decay=1e-2, **options)


def step_of(loss_of, optim):
    """Forward, backward, update; the loss is read last."""

    def step():
        loss = loss_of()
        loss.backward()
        optim.step()
        optim.zero_grad()
        return loss.item()

    return step


def mlp(make_optim):
    def make(scale=1, **options):
        batch, widths = 128 // scale, [784 // scale, 256 // scale, 128 // scale, 10]
        x, target = uniform(batch, widths[0]), torch.arange(batch) * 7 % widths[-1]
        layers = [nn.Linear(i, o) for i, o in zip(widths, widths[1:])]
        net = nn.Sequential(layers[0], nn.ReLU(), layers[1], nn.ReLU(), layers[2])
        return step_of(lambda: F.cross_entropy(net(x), target), make_optim(net.parameters(), **options))

    return make


class MixerBlock(nn.Module):
    def __init__(self, patches, between, width, wide):
        super().__init__()
        self.norm_patches, self.norm_width = nn.LayerNorm(width), nn.LayerNorm(width)
        self.patches_up, self.patches_down = nn.Linear(patches, between), nn.Linear(between, patches)
        self.width_up, self.width_down = nn.Linear(width, wide), nn.Linear(wide, width)

    def forward(self, x):
        t = self.norm_patches(x).transpose(1, 2)
        x = x + self.patches_down(F.gelu(self.patches_up(t))).transpose(1, 2)
        return x + self.width_down(F.gelu(self.width_up(self.norm_width(x))))


class Mixer(nn.Module):
    def __init__(self, width, between, wide):
        super().__init__()
        self.embed = nn.Linear(49, width)
        self.blocks = nn.Sequential(*(MixerBlock(16, between, width, wide) for _ in range(2)))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 10)

    def forward(self, images):
        patches = images.reshape(-1, 4, 7, 4, 7).transpose(2, 3).reshape(-1, 16, 49)
        return self.head(self.norm(self.blocks(self.embed(patches))).mean(1))


def mixer(scale=1, **options):
    batch = 128 // scale
    x, target = uniform(batch, 28, 28), torch.arange(batch) * 7 % 10
    net = Mixer(64 // scale, 32 // scale, 128 // scale)
    return step_of(lambda: F.cross_entropy(net(x), target), adamw(net.parameters(), **options))


class Block(nn.Module):
    def __init__(self, tokens, width, heads):
        super().__init__()
        self.heads = heads
        self.norm_attention, self.norm_network = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query_key_value, self.join = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.positions = nn.Parameter(0.02 * uniform(tokens, width))

    def attention(self, x):
        batch, tokens, width = x.shape
        parts = self.query_key_value(x).reshape(batch, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        query, key, value = parts[0], parts[1], parts[2]
        scores = query @ key.transpose(2, 3) * (width // self.heads) ** -0.5
        seen = scores.softmax(3) @ value
        return self.join(seen.permute(0, 2, 1, 3).reshape(batch, tokens, width))

    def forward(self, x):
        h = x + self.positions
        h = h + self.attention(self.norm_attention(h))
        return h + self.down(F.gelu(self.up(self.norm_network(h))))


def transformer(scale=1, **options):
    batch, tokens, width = max(8 // scale, 1), 128 // scale, 128 // scale
    x = uniform(batch, tokens, width)
    net = Block(tokens, width, 4)
    return step_of(lambda: F.mse_loss(net(x), x), adamw(net.parameters(), **options))


def lstm(times):
    def make(scale=1, **options):
        batch, width = 64 // scale, 128 // scale
        xs, target = uniform(times, batch, width), uniform(batch, width)
        first_hidden, first_cell = uniform(batch, width), uniform(batch, width)
        of_input, of_state = nn.Linear(width, 4 * width), nn.Linear(width, 4 * width)

        def loss():
            hidden, cell = first_hidden, first_cell
            for x in xs:
                i, f, g, o = (of_input(x) + of_state(hidden)).chunk(4, 1)
                cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
                hidden = o.sigmoid() * cell.tanh()
            return F.mse_loss(hidden, target)

        parameters = [*of_input.parameters(), *of_state.parameters()]
        return step_of(loss, torch.optim.SGD(parameters, lr=0.1, **options))

    return make


MODELS = {
    "mlp_sgd": mlp(lambda p, **o: torch.optim.SGD(p, lr=0.01, **o)),
    "mlp_adam": mlp(lambda p, **o: torch.optim.Adam(p, lr=1e-3, **o)),
    "mixer": mixer,
    "transformer": transformer,
    "lstm_cell": lstm(1),
    "lstm_8": lstm(8),
}
