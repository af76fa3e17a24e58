package org.lvtmobile.app

import android.Manifest
import android.app.Activity
import android.app.AlertDialog
import android.content.ActivityNotFoundException
import android.content.Intent
import android.content.pm.PackageManager
import android.net.Uri
import android.os.Bundle
import android.provider.Settings
import org.lvtmobile.core.Size
import org.lvtmobile.core.UserError
import java.io.IOException
import kotlin.concurrent.thread

/**
 * The main screen: the camera or a photo, with the overlay of the selected model.
 *
 * This class connects view, camera and inference worker; camera and worker have their own threads. The
 * activity is not recreated when the device rotates (see the manifest).
 */
class MainActivity : Activity() {
    private lateinit var view: MainView
    private lateinit var camera: Camera
    private lateinit var worker: InferenceWorker
    private lateinit var settingsStore: SettingsStore

    private var network: Size? = null // input size of the loaded model; null if no model is loaded
    @Volatile private var photo: Frame? = null // shown instead of the camera
    private var photoUri: Uri? = null
    @Volatile private var paused = false
    private var resumed = false
    private var permissionRequested = false // since the app started
    private var statistics = ""

    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        view = MainView(this)
        setContentView(view.root)
        settingsStore = SettingsStore(this)
        worker = InferenceWorker(demo.runtimes(), WorkerListener())
        camera = Camera(
            this,
            onFrame = {
                if (!paused) view.frameView.showFrame(it)
                worker.submitCameraFrame(it)
            },
            onError = { message -> runIfAlive { view.showMessage(message, "Try again", ::update) } },
        )
        view.pause.setOnClickListener { togglePause() }
        view.photo.setOnClickListener { choosePhoto() }
        view.model.setOnClickListener { chooseModel() }
        view.runtime.setOnClickListener { chooseRuntime() }
        view.threads.setOnClickListener { chooseThreads() }
        view.share.setOnClickListener { share() }
        loadModel()
        savedInstanceState?.getString(PHOTO_KEY)?.let { readPhotoAsync(Uri.parse(it)) }
    }

    /** Saves the photo for when Android recreates the activity, for example after a change of language. */
    override fun onSaveInstanceState(outState: Bundle) {
        super.onSaveInstanceState(outState)
        outState.putString(PHOTO_KEY, photoUri?.toString())
    }

    override fun onResume() {
        super.onResume()
        resumed = true
        update()
    }

    override fun onPause() {
        resumed = false
        camera.stop()
        super.onPause()
    }

    override fun onDestroy() {
        camera.close()
        worker.close()
        super.onDestroy()
    }

    /** Starts or stops the camera according to the current state. Asks for the camera permission if required. */
    private fun update() {
        updatePauseButton()
        val size = network
        val live = resumed && size != null && photo == null && !paused
        view.root.keepScreenOn = live
        if (!live) return camera.stop()
        when {
            checkSelfPermission(Manifest.permission.CAMERA) == PackageManager.PERMISSION_GRANTED -> {
                view.hideMessage()
                camera.start(size)
            }
            !permissionRequested -> requestCameraPermission()
            shouldShowRequestPermissionRationale(Manifest.permission.CAMERA) ->
                view.showMessage(NO_PERMISSION, "Allow the camera", ::requestCameraPermission)
            else -> view.showMessage(NO_PERMISSION, "Open settings", ::openSettings)
        }
    }

    private fun dismissMessage() {
        view.hideMessage()
        update()
    }

    private fun updatePauseButton() {
        view.pause.text = if (photo != null) "Camera" else if (paused) "Resume" else "Pause"
    }

    private fun requestCameraPermission() {
        permissionRequested = true
        requestPermissions(arrayOf(Manifest.permission.CAMERA), CAMERA_REQUEST)
    }

    /** When the user returns, [onResume] checks the permission again. */
    private fun openSettings() =
        startActivity(Intent(Settings.ACTION_APPLICATION_DETAILS_SETTINGS, Uri.fromParts("package", packageName, null)))

    override fun onRequestPermissionsResult(requestCode: Int, permissions: Array<String>, grantResults: IntArray) =
        update()

    private fun loadModel() {
        network = null
        paused = false
        camera.stop()
        view.frameView.clear()
        view.setStatistics("")
        withEntries(::loadModel)
    }

    private fun loadModel(entries: List<ModelEntry>) {
        val entry = settingsStore.settings.selectEntry(entries)
        if (entry == null) {
            view.setTitle("no model")
            view.showMessage(
                "There is no model on this device. Push a model file and its manifest:\n" +
                    "adb push model.onnx model.onnx.json ${modelFolders().first()}",
                "Search again",
                ::loadModel,
            )
        } else {
            worker.load(entry, settingsStore.settings)
        }
    }

    /** Called on the worker thread. Updates views on the main thread. */
    private inner class WorkerListener : InferenceWorker.Listener {
        override fun onLoading(entry: ModelEntry) = runIfAlive {
            view.setTitle(entry.name)
            view.showMessage("Loading and verifying ${entry.name} …")
        }

        override fun onReady(model: InferenceWorker.LoadedModel) = runIfAlive {
            network = model.size
            view.setTitle(model.title)
            view.hideMessage()
            photo?.let(worker::submitPhoto)
            update()
        }

        override fun onPrediction(frame: Frame, overlay: Overlay, latency: String) {
            val currentPhoto = photo
            if (currentPhoto != null && frame !== currentPhoto) return // the last camera frame before the photo
            if (currentPhoto != null || paused) view.frameView.showFrame(frame) // the frame of this overlay
            view.frameView.showOverlay(overlay)
            val lines = (overlay.classLines + latency).joinToString("\n")
            val description = (overlay.classLines + overlay.anchors.map { it.text }).joinToString()
            runIfAlive {
                view.setDescription(description)
                if (paused) camera.stop()
                statistics = lines
                view.setStatistics(lines)
            }
        }

        override fun onError(message: String) = runIfAlive {
            network = null
            camera.stop()
            view.frameView.clear()
            view.showMessage(message, "Choose a model", ::chooseModel)
        }
    }

    /** After a pause, the camera runs until the next prediction, so that frame and overlay match. */
    private fun togglePause() {
        if (photo != null) {
            photo = null
            photoUri = null
            paused = false
            view.frameView.clear()
        } else {
            paused = !paused
        }
        if (paused) updatePauseButton() else update()
    }

    private fun chooseModel() = withEntries { entries ->
        val current = entries.indexOf(settingsStore.settings.selectEntry(entries))
        choose("Model", entries.map { it.title }, current) {
            settingsStore.settings = settingsStore.settings.copy(model = entries[it].name)
        }
    }

    private fun chooseRuntime() = withEntries { entries ->
        val target = settingsStore.settings.selectEntry(entries)?.manifest?.target
        val supported = demo.runtimes().filter { it.target == target }
        val current = supported.indexOfFirst { it.name == settingsStore.settings.runtime }.coerceAtLeast(0)
        choose("Runtime", supported.map { it.name }, current) {
            settingsStore.settings = settingsStore.settings.copy(runtime = supported[it].name)
        }
    }

    private fun chooseThreads() {
        val counts = threadCounts(Runtime.getRuntime().availableProcessors())
        choose("Threads", counts.map { "$it" }, counts.indexOf(settingsStore.settings.threads)) {
            settingsStore.settings = settingsStore.settings.copy(threads = counts[it])
        }
    }

    private fun choose(title: String, items: List<String>, current: Int, onChoice: (Int) -> Unit) {
        if (items.isEmpty()) return loadModel()
        AlertDialog.Builder(this)
            .setTitle(title)
            .setSingleChoiceItems(items.toTypedArray(), current) { dialog, which ->
                dialog.dismiss()
                onChoice(which)
                loadModel()
            }
            .show()
    }

    private fun choosePhoto() {
        val intent = Intent(Intent.ACTION_GET_CONTENT).setType("image/*").addCategory(Intent.CATEGORY_OPENABLE)
        startExternal(intent) { startActivityForResult(it, PHOTO_REQUEST) }
    }

    override fun onActivityResult(requestCode: Int, resultCode: Int, data: Intent?) {
        val uri = data?.data
        if (requestCode == PHOTO_REQUEST && resultCode == RESULT_OK && uri != null) readPhotoAsync(uri)
    }

    private fun readPhotoAsync(uri: Uri) {
        thread(name = "photo") {
            try {
                val frame = readPhoto(contentResolver, uri)
                runIfAlive { showPhoto(frame, uri) }
            } catch (error: UserError) {
                showPhotoError(error.message.orEmpty())
            } catch (_: OutOfMemoryError) {
                showPhotoError("this picture is too large for the memory of this device")
            }
        }
    }

    private fun showPhotoError(message: String) =
        runIfAlive { view.showMessage(message, "Choose another photo", ::choosePhoto) }

    private fun showPhoto(frame: Frame, uri: Uri) {
        photo = frame
        photoUri = uri
        camera.stop()
        view.frameView.clear()
        view.frameView.showFrame(frame)
        if (network != null) view.hideMessage()
        worker.submitPhoto(frame)
        update()
    }

    private fun share() {
        val picture = view.frameView.snapshot() ?: return
        val text = statistics
        thread(name = "share") {
            try {
                val intent = shareIntent(this, picture, text)
                runIfAlive { startExternal(intent, ::startActivity) }
            } catch (error: IOException) {
                runIfAlive {
                    view.showMessage("the picture cannot be shared: ${error.message}", "Continue", ::dismissMessage)
                }
            }
        }
    }

    private fun startExternal(intent: Intent, starter: (Intent) -> Unit) {
        try {
            starter(intent)
        } catch (_: ActivityNotFoundException) {
            view.showMessage("there is no app for this action on this device", "Continue", ::dismissMessage)
        }
    }

    /** Lists the models on a background thread, because it reads files. Calls [action] on the main thread. */
    private fun withEntries(action: (List<ModelEntry>) -> Unit) {
        val repository = modelRepository()
        thread(name = "model-repository") {
            val entries = repository.entries()
            runIfAlive { action(entries) }
        }
    }

    private fun runIfAlive(action: () -> Unit) = runOnUiThread { if (!isDestroyed) action() }

    private companion object {
        const val CAMERA_REQUEST = 1
        const val PHOTO_REQUEST = 2
        const val PHOTO_KEY = "photo"
        const val NO_PERMISSION = "The live view needs the camera permission. Pictures never leave this device."
    }
}
