package org.lvtmobile.core

import kotlinx.serialization.Serializable

/** A golden case for the steps between the entry points of a model in parts. */
@Serializable
internal class GoldenParts(
    val host: HostConstants,
    private val tensors: Map<String, TensorFile>,
    val labels: List<Int>,
) {
    /** Outputs of `core` by name, without the semantic logits. */
    fun core(): Map<String, Tensor> = tensors.filterValues { it.shape.size == 4 }.mapValues { it.value.read() }

    fun tensor(name: String): Tensor = tensors.getValue(name).read()

    companion object {
        fun read(): GoldenParts = GoldenData.read<List<GoldenParts>>("parts.json").single()
    }
}
