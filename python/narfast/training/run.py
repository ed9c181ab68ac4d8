"""Pre-training of an encoder: motifs against contexts, then networks against networks.

Training is seeded and, on a CPU with a fixed number of threads, deterministic: the randomness of
every epoch depends only on (seed, stage, epoch). So a killed and resumed run ends with the same
weights.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from narfast import operators
from narfast._optional import require
from narfast.encoder.encoder import ArchitectureEncoder
from narfast.encoder_config import EncoderConfig
from narfast.errors import CorruptFileError, NarfastError
from narfast.evaluation.metrics import per_query_scores, rank
from narfast.graph import ArchGraph, GraphBatch
from narfast.nn.collate import collate_contexts, collate_motifs, sample_negatives, select_graphs
from narfast.nn.context_encoder import ContextEncoder
from narfast.nn.features import NodeFeatures, OneHotFeatures
from narfast.nn.inputs import (
    MinedBatch,
    OperatorRows,
    StructuralTensors,
    macro_tensors,
    mine_batch,
    node_tensors,
    store_idf,
    structural_tensors,
)
from narfast.nn.losses import ContextScorer, context_contrast, supervised_contrast
from narfast.nn.model import ArchitectureModel
from narfast.structural_features import LabelIdf, principal_axes
from narfast.training.augment import augment
from narfast.training.checkpoint import Progress, load_checkpoint, restore, save_checkpoint
from narfast.training.config import PretrainConfig

__all__ = ["PretrainConfig", "check_output", "family_quality", "run"]

_STAGES = ("motif", "graph")


def run(
    config: PretrainConfig,
    graphs: Sequence[ArchGraph],
    labels: Sequence[str | None],
    output_dir: str | Path,
    *,
    held_out: Collection[int] = (),
    libraries: Sequence[str] | None = None,
    resume: bool = True,
    progress: bool = True,
) -> ArchitectureEncoder:
    """Train an encoder and save it.

    Args:
        config: Settings.
        graphs: Structurally distinct canonical networks.
        labels: The family of each network. Networks of the families in ``config.data`` are not
            trained on, only reported on; networks without a family are left out.
        held_out: Positions of further networks that are not trained on, such as those of held-out
            libraries: a graph alone does not tell its library.
        libraries: The library of each network, for ``config.graph.mix_libraries``.
        output_dir: Folder for ``model.safetensors`` and ``config.json``, and for ``checkpoints/``
            until the run is done.
        resume: Continue from a checkpoint of the same settings and data, if there is one.
        progress: Show a bar with remaining time on standard error.

    Returns:
        The trained encoder.

    Raises:
        MissingDependencyError: ir-measures is not installed; the report needs it.
        ValueError: Lengths differ, or fewer than two networks are left to train on.
        CorruptFileError: A checkpoint is damaged or belongs to other settings or data.
    """
    require("ir_measures", by="training an encoder", extra="train")
    if len(graphs) != len(labels):
        raise ValueError(f"{len(graphs)} graphs but {len(labels)} labels; give one for each")
    if libraries is not None and len(libraries) != len(graphs):
        raise ValueError(f"{len(graphs)} graphs but {len(libraries)} libraries; give one for each")
    unseen = {*config.data.validation_families, *config.data.test_families}
    positions = [i for i, label in enumerate(labels) if label]
    offered = ["" if libraries is None else libraries[i] for i in positions]
    graphs, families = [graphs[i] for i in positions], [labels[i] or "" for i in positions]
    chosen = [
        i
        for i, (position, label) in enumerate(zip(positions, families, strict=True))
        if label not in unseen and position not in held_out
    ]
    if len(chosen) < 2:
        raise ValueError(
            f"pretraining needs at least two networks of families that are not held out, "
            f"got {len(chosen)} of {len(labels)}"
        )
    output_dir = Path(output_dir)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        trainer = _Trainer(
            config,
            [graphs[i] for i in chosen],
            [families[i] for i in chosen],
            [offered[i] for i in chosen],
        )
        trainer.train(output_dir / "checkpoints", resume=resume, show=progress)
    model = trainer.module.model
    notes = {
        "config": asdict(config),
        "networks": len(chosen),
        "families": len({families[i] for i in chosen}),
        "quality": _report(ArchitectureEncoder.from_model(model), config, graphs, families),
        "losses": [round(loss, 5) for loss in trainer.progress.losses],
    }
    encoder = ArchitectureEncoder.from_model(model, training=notes)
    encoder.save_pretrained(output_dir)
    _remove_checkpoints(output_dir / "checkpoints")
    return encoder


def check_output(folder: Path, config: PretrainConfig, *, resume: bool = True) -> None:
    """Check before training that the encoder can be written and that nothing else is replaced.

    Raises:
        NarfastError: ``folder`` has other content than an unfinished run of the same settings.
        OSError: It cannot be created or written to.
    """
    if folder.exists() and not folder.is_dir():
        raise NarfastError(f"{folder}: not a folder; name one for the encoder")
    state = load_checkpoint(folder / "checkpoints") if resume else None
    ours = state is not None and state[0].config == config.fingerprint()
    there = sorted(path.name for path in folder.iterdir()) if folder.exists() else []
    if there and there != ["checkpoints"] and not ours:
        raise NarfastError(
            f"{folder}: already has {there[0]}, which would be replaced; name a new folder"
        )
    folder.mkdir(parents=True, exist_ok=True)
    probe = folder / ".probe"
    probe.touch()
    probe.unlink()


def family_quality(
    vectors: NDArray[np.float32], labels: Sequence[str], families: set[str], *, depth: int = 20
) -> dict[str, float]:
    """Measure how well cosine ranks a family's networks first: MRR and MAP at a depth.

    Args:
        vectors: float32[n, d], unit length.
        labels: The family of each network.
        families: Networks of these are queries; all other networks are candidates.
        depth: Depth of the cut rankings.

    Returns:
        ``mrr``, ``map`` (divided by min(relevant, depth)) and ``queries``; queries without a
        relevant network do not count.

    Raises:
        MissingDependencyError: ir-measures is not installed.
    """
    label = np.asarray(labels)
    order = np.arange(len(label))
    rankings, relevant = [], []
    for query in np.flatnonzero(np.isin(label, list(families))):
        others = order != query
        alike = np.flatnonzero(others & (label == label[query]))
        if len(alike):
            rankings.append(rank(vectors @ vectors[query], others, depth, order))
            relevant.append(alike)
    if not rankings:
        return {"mrr": math.nan, "map": math.nan, "queries": 0}
    scores = per_query_scores(rankings, relevant, cutoffs=(depth,))
    means = {name: round(float(scores[name][depth].mean()), 4) for name in ("mrr", "map")}
    return {**means, "queries": len(rankings)}


def _report(
    encoder: ArchitectureEncoder,
    config: PretrainConfig,
    graphs: Sequence[ArchGraph],
    labels: Sequence[str],
) -> dict[str, dict[str, float]]:
    vectors = encoder.encode(list(graphs))
    validation, test = set(config.data.validation_families), set(config.data.test_families)
    splits = {
        "trained": set(labels) - validation - test,
        "validation": validation,
        "test": test,
    }
    quality = {name: family_quality(vectors, labels, group) for name, group in splits.items()}
    return {name: q for name, q in quality.items() if q["queries"]}


class _TrainingModule(nn.Module):
    """The model and the modules that only training needs."""

    def __init__(self, config: EncoderConfig, num_classes: int) -> None:
        super().__init__()
        self.model = ArchitectureModel(config)
        num_operators = 1 + len(config.operators)
        self.context = ContextEncoder(
            OneHotFeatures(num_operators)
            if config.features == "one_hot"
            else NodeFeatures(num_operators, config.feature_dim, config.attribute_fields),
            layer=config.layer,
            dim=config.motif_dim,
            num_layers=config.motif_layers,
            readouts=config.motif_readouts,
            dropout=config.dropout,
        )
        self.scorer = ContextScorer(config.motif_dim)
        self.head = nn.Linear(config.deep_dim, num_classes)


class _Trainer:
    """One run: data, module, and the loop over stages and epochs."""

    def __init__(
        self,
        config: PretrainConfig,
        graphs: Sequence[ArchGraph],
        labels: Sequence[str],
        libraries: Sequence[str],
    ) -> None:
        self.config = config
        self.graphs = GraphBatch.from_graphs(graphs)
        self.labels = list(labels)
        names = sorted(set(labels))
        self.label = np.array([names.index(label) for label in labels], dtype=np.int64)
        self.library = np.array(libraries)
        self.mined = mine_batch(self.graphs, miner=config.encoder.miner)
        encoder = replace(config.encoder, operators=_vocabulary(self.graphs))
        self.idf: LabelIdf | None = None
        self._axes = torch.empty(0)
        if encoder.wide_dim:
            self.idf = LabelIdf.fit(
                self.graphs,
                hops=encoder.wide_hops,
                size=encoder.wide_size,
                ngrams=encoder.wide_grams,
            )
            encoder = replace(encoder, wide_size=len(self.idf.label))
        self.rows = OperatorRows(encoder.operators)
        self.module = _TrainingModule(encoder, len(names))
        if self.idf is not None:
            _, counts = self.idf.features(self.graphs, 0)
            axes = principal_axes(counts, encoder.wide_size, encoder.wide_axes, classes=self.labels)
            store_idf(self.module.model, self.idf, axes)
            self._axes = self.module.model.wide_axes.float()
        self._motif_table: Tensor | None = None
        self.edits = any(vars(config.augment).values())
        self.progress = Progress(config=config.fingerprint(), data=self._data_fingerprint())

    def _data_fingerprint(self) -> str:
        digest = hashlib.sha256()
        for array in self.graphs.arrays:
            digest.update(np.ascontiguousarray(array).tobytes())
        digest.update("\0".join([*self.labels, *self.library.tolist()]).encode())
        return digest.hexdigest()

    # The loop.

    def train(self, folder: Path, *, resume: bool, show: bool) -> None:
        """Run all epochs of all stages that are not done yet."""
        tensors = self._resume(folder) if resume else None
        lengths = {"motif": self.config.motif.epochs, "graph": self.config.graph.epochs}
        with _bar(sum(lengths.values()), len(self.progress.losses), show) as advance:
            for stage in range(self.progress.stage, len(_STAGES)):
                name = _STAGES[stage]
                optimizer = self._optimizer(name)
                if tensors is not None:
                    restore(tensors, self.module, optimizer)
                    tensors = None
                for epoch in range(self.progress.epoch, lengths[name]):
                    loss = self._epoch(stage, epoch, optimizer)
                    if not math.isfinite(loss):
                        raise ValueError(
                            f"the loss of {name} epoch {epoch + 1} is {loss}; lower "
                            f"{name}.learning_rate, or raise graph.temperature"
                        )
                    self.progress = replace(
                        self.progress,
                        stage=stage,
                        epoch=epoch + 1,
                        losses=(*self.progress.losses, loss),
                    )
                    if (epoch + 1) % max(self.config.checkpoint_every, 1) == 0:
                        save_checkpoint(folder, self.progress, self.module, optimizer)
                    advance(f"{name} loss {loss:.4f}")
                self.progress = replace(self.progress, stage=stage + 1, epoch=0)
        self.module.eval()

    def _resume(self, folder: Path) -> dict[str, Tensor] | None:
        found = load_checkpoint(folder)
        if found is None:
            return None
        before, tensors = found
        if (before.config, before.data) != (self.progress.config, self.progress.data):
            raise CorruptFileError(
                f"{folder}: the checkpoint belongs to other settings or other networks; "
                "delete it, choose another output folder, or use --no-resume"
            )
        self.progress = before
        return tensors

    def _optimizer(self, stage: str) -> torch.optim.Optimizer:
        module = self.module
        if stage == "motif":
            settings = self.config.motif
            parts: list[nn.Module] = [module.model.motif, module.context, module.scorer]
            groups = [
                {"params": [p for m in parts for p in m.parameters()], "lr": settings.learning_rate}
            ]
            decay = settings.weight_decay
        else:
            graph = self.config.graph
            top = [*module.model.macro.parameters(), *module.head.parameters()]
            groups = [{"params": top, "lr": graph.learning_rate}]
            if graph.motif_learning_rate:
                motif = list(module.model.motif.parameters())
                groups.append({"params": motif, "lr": graph.motif_learning_rate})
            decay = graph.weight_decay
        optimizer = torch.optim.AdamW(groups, weight_decay=decay)
        for group in optimizer.param_groups:
            group["peak"] = group["lr"]
        return optimizer

    def _epoch(self, stage: int, epoch: int, optimizer: torch.optim.Optimizer) -> float:
        """Run one epoch; return its mean loss."""
        seed = int(np.random.SeedSequence([self.config.seed, stage, epoch]).generate_state(1)[0])
        torch.manual_seed(seed)
        rng = np.random.default_rng(seed)
        self.module.train()
        if _STAGES[stage] == "graph" and not self.config.graph.motif_learning_rate:
            self.module.model.motif.eval()  # frozen, so without dropout
        step: Callable[[NDArray[np.int64], int], Tensor]
        if _STAGES[stage] == "motif":
            batches, total, step = self._motif_batches(rng), self.config.motif.epochs, self._motif
        else:
            batches, total, step = self._graph_batches(rng), self.config.graph.epochs, self._graph
        losses = []
        for position, batch in enumerate(batches):
            done = (epoch + position / len(batches)) / total
            for group in optimizer.param_groups:
                group["lr"] = group["peak"] * _schedule(done)
            optimizer.zero_grad(set_to_none=True)
            loss = step(batch, int(rng.integers(2**63)))
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(
                [p for group in optimizer.param_groups for p in group["params"]], 5.0
            )
            optimizer.step()
            losses.append(loss.item())
        return float(np.mean(losses)) if losses else 0.0

    # Motif level.

    def _motif_batches(self, rng: np.random.Generator) -> list[NDArray[np.int64]]:
        """Return one random instance of each distinct motif, shuffled, in batches."""
        inverse = self.mined.unique.inverse
        shuffled = rng.permutation(len(inverse))
        _, first = np.unique(inverse[shuffled], return_index=True)
        chosen = rng.permutation(shuffled[first])
        size = self.config.motif.batch_size
        return [chosen[i : i + size] for i in range(0, len(chosen), size)]

    def _motif(self, instances: NDArray[np.int64], seed: int) -> Tensor:
        settings = self.config.motif
        contexts = collate_contexts(
            self.graphs, self.mined.macros, instances, radius=settings.radius
        )
        # A motif that is a whole network has an empty context.
        surrounded = np.flatnonzero(np.diff(contexts.segment_ptr))
        if len(surrounded) < len(instances):
            instances = instances[surrounded]
            contexts = collate_contexts(
                self.graphs, self.mined.macros, instances, radius=settings.radius
            )
        motifs = collate_motifs(self.graphs, self.mined.macros, instances)
        negative = sample_negatives(
            self.mined.unique.inverse[instances], seed=seed, per_anchor=settings.negatives
        )
        return context_contrast(
            self.module.scorer,
            self.module.model.motif(*node_tensors(motifs, self.rows)),
            self.module.context(*node_tensors(contexts, self.rows)),
            torch.from_numpy(negative),
        )

    # Graph level.

    def _graph_batches(self, rng: np.random.Generator) -> list[NDArray[np.int64]]:
        """Return batches of networks: in random order, or random families with their members."""
        settings = self.config.graph
        if settings.per_family == 0:
            order = rng.permutation(len(self.label))
        else:
            groups: list[NDArray[np.int64]] = []
            for label in range(int(self.label.max()) + 1):
                members = rng.permutation(np.flatnonzero(self.label == label))
                if settings.mix_libraries:
                    members = _in_turn(members, self.library[members])
                members = members[: settings.family_cap or None]
                step = settings.per_family
                groups += [members[i : i + step] for i in range(0, len(members), step)]
            order = np.concatenate([groups[i] for i in rng.permutation(len(groups))])
        size = settings.batch_size
        return [order[i : i + size] for i in range(0, len(order), size)]

    def _graph(self, networks: NDArray[np.int64], seed: int) -> Tensor:
        settings = self.config.graph
        chosen = select_graphs(self.graphs, networks)
        views = [self._embed(self.mined, networks, self._structural(chosen))]
        if self.edits:
            edited = augment(chosen, self.config.augment, seed=seed)
            everything = np.arange(len(networks))
            mined = mine_batch(edited, miner=self.config.encoder.miner)
            views.append(self._embed(mined, everything, self._structural(edited)))
        deep = torch.cat([d for d, _ in views])
        final = torch.cat([f for _, f in views])
        label = torch.from_numpy(self.label[networks]).repeat(len(views))
        own = torch.arange(len(networks)).repeat(len(views))
        loss = final.sum() * 0
        if settings.contrast:
            # On the deep vectors only: good structural features would leave them little to learn.
            alike = label if settings.positives == "family" else own
            contrast = supervised_contrast(deep, alike, temperature=settings.temperature)
            loss = loss + settings.contrast * contrast
        if settings.classify:
            logits = self.module.head(deep)
            loss = loss + settings.classify * nn.functional.cross_entropy(logits, label)
        if settings.consistency and self.edits:
            cosine = nn.functional.cosine_similarity(views[0][1], views[1][1])
            loss = loss + settings.consistency * (1 - cosine).mean()
        return loss

    def _embed(
        self, mined: MinedBatch, networks: NDArray[np.int64], structural: StructuralTensors
    ) -> tuple[Tensor, Tensor]:
        """Compute deep and final vectors of networks; each distinct motif is encoded once."""
        model = self.module.model
        macro = macro_tensors(mined, networks)
        if not self.config.graph.motif_learning_rate and mined is self.mined:
            table, row = self._frozen_motifs(), macro.motif
        else:
            motif, row = torch.unique(macro.motif, return_inverse=True)
            table = self._embed_motifs(mined, motif.numpy())
        deep = model.embed_networks(
            table.index_select(0, row),
            macro.size,
            macro.multiplicity,
            macro.graph,
            structural.axes,
        )
        return deep, model.join(deep, structural.vector)

    def _embed_motifs(self, mined: MinedBatch, motifs: NDArray[np.int64]) -> Tensor:
        nodes = collate_motifs(mined.graphs, mined.macros, mined.unique.representative[motifs])
        with torch.set_grad_enabled(self.config.graph.motif_learning_rate > 0):
            return self.module.model.embed_motifs(*node_tensors(nodes, self.rows))

    def _frozen_motifs(self) -> Tensor:
        """Vectors of all motifs of the training networks, for a frozen motif encoder."""
        if self._motif_table is None:
            every = np.arange(len(self.mined.unique.representative))
            size = self.config.motif.batch_size
            parts = [every[i : i + size] for i in range(0, len(every), size)]
            self._motif_table = torch.cat([self._embed_motifs(self.mined, p) for p in parts])
        return self._motif_table

    def _structural(self, graphs: GraphBatch) -> StructuralTensors:
        return structural_tensors(self.module.model, self.idf, graphs, self._axes)


def _in_turn(members: NDArray[np.int64], library: NDArray[np.str_]) -> NDArray[np.int64]:
    """Interleave members by library; keep the order within each library."""
    turn = np.zeros(len(members), dtype=np.int64)
    for name in np.unique(library):
        own = np.flatnonzero(library == name)
        turn[own] = np.arange(len(own))
    return members[np.argsort(turn, kind="stable")]


def _vocabulary(graphs: GraphBatch) -> tuple[str, ...]:
    """Return the operators of the training networks, and all placeholders for unknown ones."""
    seen = set(np.unique(graphs.op).tolist())
    return tuple(
        info.name
        for info in operators.table()
        if info.id in seen or info.name.startswith("unknown/")
    )


def _schedule(done: float) -> float:
    """Return the learning rate factor: a short linear warm-up, then a half cosine to zero."""
    return min(1.0, 0.1 + done * 18) * 0.5 * (1 + math.cos(math.pi * done))


@contextmanager
def _bar(total: int, done: int, show: bool) -> Iterator[Callable[[str], None]]:
    if not show:
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as RichProgress

    columns: tuple[Any, ...] = (
        TextColumn("Pre-training"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.description}"),
    )
    with RichProgress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=total, completed=done)
        yield lambda text: bar.update(task, advance=1, description=text)


def _remove_checkpoints(folder: Path) -> None:
    for file in [*folder.glob("checkpoint-*.safetensors"), folder / "state.json"]:
        file.unlink(missing_ok=True)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
