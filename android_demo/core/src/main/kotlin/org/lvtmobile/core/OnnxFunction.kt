package org.lvtmobile.core

import ai.onnxruntime.NodeInfo
import ai.onnxruntime.OnnxJavaType
import ai.onnxruntime.OnnxTensor
import ai.onnxruntime.OrtEnvironment
import ai.onnxruntime.OrtException
import ai.onnxruntime.OrtSession
import ai.onnxruntime.TensorInfo
import java.io.File
import java.nio.ByteBuffer
import java.nio.ByteOrder

/**
 * A loaded ONNX file. Allocates the buffers of inputs and outputs once and reuses them for each call.
 *
 * Owns [session]. Not thread-safe.
 *
 * @param name the file in error messages.
 */
internal class OnnxFunction private constructor(
    environment: OrtEnvironment,
    private val session: OrtSession,
    private val name: String,
    inputs: List<Manifest.TensorInfo>,
    outputs: List<Manifest.TensorInfo>,
) : AutoCloseable {
    private val inputs = inputs.associate { it.name to OnnxBuffer(environment, it.shape, OnnxJavaType.FLOAT) }
    private val outputs = outputs.associate { it.name to OnnxBuffer(environment, it.shape, type(it.name)) }
    private val inputTensors = this.inputs.mapValues { it.value.tensor }
    private val outputTensors = this.outputs.mapValues { it.value.tensor }

    private fun type(output: String): OnnxJavaType = (session.outputInfo.getValue(output).info as TensorInfo).type

    /**
     * Calls the function.
     *
     * @return the outputs by name. The next call overwrites them.
     * @throws UserError ONNX Runtime cannot run the file.
     */
    fun call(values: Map<String, Tensor>): Map<String, Tensor> {
        for ((name, input) in inputs) input.write(values.getValue(name))
        try {
            session.run(inputTensors, outputTensors).close() // closes no tensor of ours
        } catch (error: OrtException) {
            throw UserError("ONNX Runtime cannot run $name: ${error.firstLine()}", error)
        }
        return outputs.mapValues { it.value.read() }
    }

    /** Ends the profile that the options of the session began, and returns its file. */
    fun endProfiling(): File = File(session.endProfiling())

    override fun close() {
        (inputs + outputs).values.forEach(OnnxBuffer::close)
        session.close()
    }

    companion object {
        /**
         * Takes ownership of a session; closes it if it does not fit.
         *
         * @throws UserError inputs or outputs of the session are not the declared ones.
         */
        fun open(
            environment: OrtEnvironment,
            session: OrtSession,
            name: String,
            inputs: List<Manifest.TensorInfo>,
            outputs: List<Manifest.TensorInfo>,
        ): OnnxFunction {
            var function: OnnxFunction? = null
            try {
                requireNames(session, name, inputs, outputs)
                requireShapes(session.inputInfo, name, inputs, setOf(OnnxJavaType.FLOAT))
                requireShapes(session.outputInfo, name, outputs, setOf(OnnxJavaType.FLOAT, OnnxJavaType.INT32))
                function = OnnxFunction(environment, session, name, inputs, outputs)
                return function
            } finally {
                if (function == null) session.close()
            }
        }

        private fun requireNames(
            session: OrtSession,
            name: String,
            inputs: List<Manifest.TensorInfo>,
            outputs: List<Manifest.TensorInfo>,
        ) {
            val declared = inputs.map { it.name }.toSet() to outputs.map { it.name }.toSet()
            if (session.inputNames to session.outputNames != declared) {
                throw UserError(
                    "$name has inputs ${session.inputNames} and outputs ${session.outputNames}, " +
                        "but its manifest declares ${declared.first} and ${declared.second}; export it again",
                )
            }
        }

        private fun requireShapes(
            actual: Map<String, NodeInfo>,
            name: String,
            declared: List<Manifest.TensorInfo>,
            types: Set<OnnxJavaType>,
        ) {
            for (tensor in declared) {
                val info = actual.getValue(tensor.name).info as? TensorInfo
                val shape = info?.shape?.map { it.toInt() }
                if (info == null || info.type !in types || shape == null || !fits(shape, tensor.shape)) {
                    throw UserError(
                        "$name has ${tensor.name} of type ${info?.type} and shape $shape, but its manifest " +
                            "declares ${tensor.shape} of ${types.joinToString(" or ")}; export it again",
                    )
                }
            }
        }

        /** Whether shapes are equal; the file may leave a side open. */
        private fun fits(actual: List<Int>, declared: List<Int>): Boolean =
            actual.size == declared.size && actual.indices.all { actual[it] == declared[it] || actual[it] < 0 }
    }
}

/** A tensor in native memory, and a copy of it in the Java heap. */
private class OnnxBuffer(environment: OrtEnvironment, private val shape: List<Int>, private val type: OnnxJavaType) :
    AutoCloseable {
    private val bytes: ByteBuffer = ByteBuffer
        .allocateDirect(Float.SIZE_BYTES * shape.fold(1, Int::times))
        .order(ByteOrder.nativeOrder())
    private val copy by lazy { Tensor(shape, FloatArray(bytes.capacity() / Float.SIZE_BYTES)) }

    val tensor: OnnxTensor =
        OnnxTensor.createTensor(environment, bytes, LongArray(shape.size) { shape[it].toLong() }, type)

    fun write(values: Tensor) {
        require(values.shape == shape) { "a value has shape ${values.shape}, but the network expects $shape" }
        bytes.asFloatBuffer().put(values.values)
    }

    fun read(): Tensor {
        val values = copy.values
        if (type == OnnxJavaType.FLOAT) {
            bytes.asFloatBuffer().get(values)
        } else {
            bytes.asIntBuffer().let { for (i in values.indices) values[i] = it.get(i).toFloat() }
        }
        return copy
    }

    override fun close() = tensor.close()
}
