package org.lvtmobile.core

// Names of entry points, and of their inputs and outputs.
internal const val CORE = "core"
internal const val BOXES = "boxes"
internal const val MASKS = "masks"
internal const val IMAGE = "image"
internal const val SEMANTIC = "semantic"
internal const val FEATURES = "features"
internal const val CLASSES = "classes"
internal const val SCORES = "scores"
internal const val DELTAS = "deltas"
internal const val LABELS = "labels"

/** Name of the output of `core` with a logit for each anchor. */
internal val PyramidLevel.objectness: String get() = "objectness_$name"

/** Name of the output of `core` with the deltas of each anchor. */
internal val PyramidLevel.deltas: String get() = "deltas_$name"

/** The loaded entry points of a model in parts. Not thread-safe. */
interface EntryPoints : AutoCloseable {
    /**
     * Calls an entry point.
     *
     * @param name `core`, `boxes` or `masks`.
     * @param inputs by name, in the shapes of the manifest; the image is (1, 3, H, W).
     * @return the outputs by name. The next call of the same entry point may overwrite them.
     * @throws UserError the runtime cannot run the model.
     */
    fun call(name: String, inputs: Map<String, Tensor>): Map<String, Tensor>
}
